/**
 * Damage at rest, at random: flipped bits, zeroed or garbled ranges, shortened and removed files. Whatever was done, a start either refuses with a
 * StorageError or gives a log that holds only what was appended, in a chain; reading a damaged entry throws, it is never handed out.
 */
import { describe, expect, it } from 'vitest'
import { UnreadableEntry } from '../../raft/index.ts'
import type { LogIndex } from '../../raft/index.ts'
import { SimRandom } from '../../chaos/sim/random.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import { StorageError } from '../../src/storage/storage-error.ts'
import { append, bodyOf, StorageRig } from './rig.ts'

const entries = 120
const bodyBytes = 180

/** Harms one file; returns its path. */
function damage(rig: StorageRig, random: SimRandom): string {
  const path = random.pick(rig.disk.files())
  harm(rig, random, path)
  return path
}

function harm(rig: StorageRig, random: SimRandom, path: string): void {
  const disk = rig.disk.openProcess()
  const file = disk.open(path, { create: false })
  const size = file.sizeBytes()
  const position = random.integer(0, Math.max(0, size - 1))
  switch (random.pick(['bit', 'bit', 'bit', 'zeros', 'garbage', 'shorten', 'remove', 'copy'] as const)) {
    case 'bit':
      return rig.disk.flipBit(path, position, random.integer(0, 7))
    case 'zeros':
      return file.writeSync(new Uint8Array(random.integer(1, 600)), position)
    case 'garbage':
      return file.writeSync(random.bytes(random.integer(1, 600)), position)
    case 'shorten':
      return file.truncateSync(position)
    case 'remove':
      return disk.remove(path)
    case 'copy': {
      // A misdirected write: a piece of the file lands elsewhere in it.
      const piece = new Uint8Array(Math.min(512, size))
      file.readSync(piece, Math.floor(random.integer(0, size) / 512) * 512)
      return file.writeSync(piece, Math.floor(position / 512) * 512)
    }
  }
}

function check(seed: number): 'refused' | 'opened' | 'unreadable' {
  const random = new SimRandom(`rot/${seed}`)
  const rig = new StorageRig(`rot/${seed}`, logLimits(random.pick([6_000, 100_000]), { slabBytes: 3_000 }))
  const opened = rig.open()
  const mark = random.integer(0, entries)
  append(opened, 1, mark, bodyBytes)
  rig.flush(opened)
  opened.log.noteDurable(mark as LogIndex)
  rig.settle()
  append(opened, 2, entries - mark, bodyBytes)
  rig.flush(opened)
  rig.kill()
  const harmed: string[] = []
  for (let i = random.integer(1, 3); i > 0 && rig.disk.files().length > 0; i--) harmed.push(damage(rig, random))
  try {
    const { log } = rig.open()
    // The mark itself is in the hard state: with that damaged as well, only the older mark speaks for the log.
    if (harmed.every(path => path.endsWith('.log'))) expect(log.lastId.index).toBeGreaterThanOrEqual(mark)
    for (let index = 1; index <= log.lastId.index; index++) {
      const entry = log.entry(index as LogIndex)
      expect(Buffer.from(entry.body).equals(bodyOf(index <= mark ? 1 : 2, index, bodyBytes))).toBe(true)
    }
    append({ ...opened, log }, 9, 2, bodyBytes)
    return 'opened'
  } catch (error) {
    if (error instanceof UnreadableEntry) return 'unreadable'
    if (!(error instanceof StorageError)) throw error
    expect(error.message).toMatch(/^\/data/)
    return 'refused'
  }
}

describe('damage at rest', () => {
  it('is refused, cut off or thrown, never believed', () => {
    const outcomes = { refused: 0, opened: 0, unreadable: 0 }
    for (let seed = 0; seed < 600; seed++) {
      try {
        outcomes[check(seed)]++
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
    }
    // Each of the three ends is really reached.
    for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(20)
  })
})
