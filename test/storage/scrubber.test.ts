import { describe, expect, it } from 'vitest'
import type { EntryKind, LogIndex, Term } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import { openLog, type OpenedLog } from '../../src/storage/open-log.ts'
import { Scrubber } from '../../src/storage/scrubber.ts'
import { append, bodyOf, entryBody, rigDirectory, StorageRig } from './rig.ts'

const limits = logLimits(8 * 1024, { slabBytes: 1_024, tailBytesMax: 2_048, tailBytesIdle: 1_024 })

function scrubbed(
  seed: string,
  { bytesPerSecond = 1 << 20, write = (opened: OpenedLog): void => append(opened, 1, 150, 200) } = {},
): { rig: StorageRig; opened: OpenedLog; scrubber: Scrubber; notes: string[]; failures: Error[] } {
  const rig = new StorageRig(seed, limits)
  const notes: string[] = []
  const failures: Error[] = []
  const options = rig.openOptions()
  const { disk, clock } = options
  const opened = openLog({ ...options, limits, hasPeers: () => true, note: sentence => void notes.push(sentence) })
  write(opened)
  rig.flush(opened)
  rig.settle()
  const { log, directoryId, holes } = opened
  const note = (sentence: string): void => void notes.push(sentence)
  const scrubber = new Scrubber({
    disk,
    clock,
    directory: `${rigDirectory}/log`,
    directoryId,
    log,
    rotFound: holes.rotFound,
    bytesPerSecond,
    note,
    failed: error => failures.push(error),
  })
  return { rig, opened, scrubber, notes, failures }
}

/** Entries of the same places, terms and sizes. */
function withOtherBodies(opened: OpenedLog): void {
  for (let index = 1; index <= 150; index++) {
    const stamp = { term: 1 as Term, firstIndex: index as LogIndex, kind: 1 as EntryKind, wallMs: 1_000 + index }
    opened.log.appendOwn(stamp, [entryBody(bodyOf(9, index, 200))])
  }
}

describe('the scrubber', () => {
  it('reads the whole log, round after round, and finds nothing in a good one', () => {
    const { rig, opened, scrubber, notes } = scrubbed('whole')
    rig.settle(200_000)
    const { rounds, bytesRead } = scrubber.status()
    expect(rounds).toBeGreaterThanOrEqual(2)
    expect(bytesRead).toBeGreaterThan(rounds * 150 * 200)
    expect(opened.repair.wanted).toBeUndefined()
    expect(notes).toEqual([])
  })

  it('keeps to its rate', () => {
    const { rig, scrubber } = scrubbed('rate')
    rig.settle(60_020)
    expect(scrubber.status().bytesRead).toBeLessThan(30 * 1_024)
    rig.settle(1_000)
    expect(scrubber.status().bytesRead).toBeGreaterThan(150 * 200)
  })

  it('takes as long as its rate says, not as long as the disk', () => {
    const { rig, scrubber } = scrubbed('slow', { bytesPerSecond: 4 * 1_024 })
    rig.settle(63_000)
    expect(scrubber.status().bytesRead).toBeLessThan(20 * 1_024)
    rig.settle(10_000)
    expect(scrubber.status().bytesRead).toBeGreaterThan(150 * 200)
  })

  it('looks at the segment that is being written too', () => {
    const { rig, opened } = scrubbed('open')
    const path = rig.disk.files().findLast(name => /\/\d+\.log$/.test(name)) ?? ''
    rig.disk.flipBit(path, 700, 2)
    rig.settle(90_000)
    expect(opened.repair.wanted?.fromIndex).toBe(opened.log.segmentSpans().at(-1)?.firstIndex)
  })

  it('forgets what it found where the log is cut off', () => {
    const { rig, opened } = scrubbed('cut')
    const path = rig.disk.files().findLast(name => /\/\d+\.log$/.test(name)) ?? ''
    rig.disk.flipBit(path, 700, 2)
    rig.settle(90_000)
    const { wanted } = opened.repair
    const { firstIndex } = mustExist(opened.log.segmentSpans().at(-1), 'open segment')
    expect(wanted?.fromIndex).toBe(firstIndex)
    opened.log.truncateFrom((firstIndex - 1) as LogIndex)
    expect(opened.repair.wanted).toBeUndefined()
  })

  it('finds a flipped bit anywhere in the records, and asks for those entries', () => {
    const { opened: sample } = scrubbed('sample')
    const last = sample.log.lastId.index
    for (let seed = 0; seed < 40; seed++) {
      const { rig, opened, notes } = scrubbed(`flip/${seed}`)
      const [path = ''] = rig.disk.files().filter(name => name.endsWith('.log'))
      const position = 512 + rig.random.integer(0, 7_000)
      rig.disk.flipBit(path, position, rig.random.integer(0, 7))
      rig.settle(90_000)
      const { wanted } = opened.repair
      expect(notes.join()).toMatch(/record \d+ at byte \d+ .*can't be read from this disk; asking the other nodes for them/)
      expect(wanted?.fromIndex).toBeGreaterThanOrEqual(1)
      expect(wanted?.lastIndex).toBeLessThanOrEqual(last)
      // Told once, however many rounds pass.
      rig.settle(130_000)
      expect(notes).toHaveLength(1)
    }
  })

  it('writes a rotten segment header anew', () => {
    const { rig, notes } = scrubbed('header')
    const [path = ''] = rig.disk.files().filter(name => name.endsWith('.log'))
    const before = rig.disk.contentOf(path)
    rig.disk.flipBit(path, 20, 3)
    rig.disk.flipBit(path, 256 + 30, 1)
    rig.settle(90_000)
    expect(notes).toEqual([`${path}: its header had rotted; written anew`])
    expect(rig.disk.contentOf(path)).toEqual(before)
  })

  it('what it found is mended by the records of a peer, and by no others', () => {
    const { rig, opened, notes } = scrubbed('mend')
    const whole = scrubbed('mend').opened
    const [path = ''] = rig.disk.files().filter(name => name.endsWith('.log'))
    const before = rig.disk.contentOf(path)
    rig.disk.flipBit(path, 3_000, 5)
    rig.settle(90_000)
    const wanted = opened.repair.wanted ?? { fromIndex: 0, lastIndex: 0 }
    const block = whole.log.readBlock(wanted.fromIndex as LogIndex, wanted.lastIndex as LogIndex, Infinity)
    const bytes = Buffer.concat(block?.buffers ?? [])
    const forged = Uint8Array.from(bytes)
    forged[60] = (forged[60] ?? 0) ^ 1
    expect(opened.repair.supply(wanted.fromIndex, forged, 1_000)).toBe('refused')
    expect(opened.repair.supply(wanted.fromIndex + 1, bytes, 1_000)).toBe('refused')
    expect(opened.repair.supply(wanted.fromIndex, new Uint8Array(0), 1_000)).toBe('refused')
    expect(opened.repair.supply(wanted.fromIndex, bytes, 0)).toBe('mended')
    expect(opened.repair.wanted).toBeUndefined()
    expect(rig.disk.contentOf(path)).toEqual(before)
    expect(notes.at(-1)).toMatch(/are whole again, from a peer/)
  })

  it.each([
    ['term', (opened: OpenedLog) => append(opened, 2, 150, 200)],
    ['content', withOtherBodies],
  ])('takes no records of another history, though they are whole, and as many bytes: of another %s', (_what, write) => {
    const { rig, opened } = scrubbed('history')
    const other = scrubbed('history', { write }).opened
    const [path = ''] = rig.disk.files().filter(name => name.endsWith('.log'))
    rig.disk.flipBit(path, 3_000, 5)
    rig.settle(90_000)
    const wanted = opened.repair.wanted ?? { fromIndex: 0, lastIndex: 0 }
    const block = other.log.readBlock(wanted.fromIndex as LogIndex, wanted.lastIndex as LogIndex, Infinity)
    expect(opened.repair.supply(wanted.fromIndex, Buffer.concat(block?.buffers ?? []), 1_000)).toBe('refused')
    expect(opened.repair.wanted).toEqual(wanted)
  })

  it('tells at once of a disk that does not read any more, and stops', () => {
    const { rig, failures, scrubber } = scrubbed('unreadable')
    rig.disk.failNext({ operation: 'read', code: 'EIO' })
    rig.settle(120_000)
    expect(failures.map(({ message }) => message)).toEqual([
      expect.stringMatching(/can't be read through \(EIO: read .*goes silent and stops/),
    ])
    const { bytesRead } = scrubber.status()
    rig.settle(120_000)
    expect(scrubber.status().bytesRead).toBe(bytesRead)
  })
})
