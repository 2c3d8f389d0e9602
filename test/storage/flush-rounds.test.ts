/** A flush larger than what is written between two syncs goes to the disk in rounds: a power cut between two of them finds the log whole as far as it goes. */
import { describe, expect, it } from 'vitest'
import { logIndex } from '../../raft/index.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { append, expectEntry, StorageRig } from './rig.ts'

/** Of records of 270 bytes seven fit between two syncs, with and without a header of zeros, and something is left over. */
const limits = logLimits(64 * 1024, { flushBytesMax: 2_000 })

/** Cuts the power after each sync of one flush in turn, keeping nothing that was not synced. Gives what the next start says of the log, and where it finds the end. */
function cutAfterEachRound(
  write: (rig: StorageRig, opened: OpenedLog) => void,
): { readonly notes: readonly string[]; readonly last: number }[] {
  const found: { notes: readonly string[]; last: number }[] = []
  for (let syncs = 1; ; syncs++) {
    const rig = new StorageRig('rounds', limits)
    const opened = rig.open()
    write(rig, opened)
    const before = opened.log.status().syncs
    const ends: (Error | undefined)[] = []
    opened.log.flush(error => ends.push(error))
    rig.scheduler.runUntilTrue(() => ends.length > 0 || opened.log.status().syncs > before + syncs, 60_000)
    if (ends.length > 0) return found
    rig.process?.kill()
    rig.disk.cutPower(true)
    const again = rig.open()
    const last = again.log.lastId.index
    for (let index = 1; index <= last; index++) expectEntry(again, index, again.log.entry(logIndex(index)).term, 222)
    found.push({ notes: again.notes.filter(note => note.includes('/log/')), last })
  }
}

describe('a flush in several rounds', () => {
  it('ends each with a whole record, so a power cut between two leaves nothing to doubt (seed 30000116)', () => {
    const found = cutAfterEachRound((_, opened) => append(opened, 1, 40, 222))
    expect(found.length).toBeGreaterThan(3)
    expect(found.flatMap(({ notes }) => notes)).toEqual([])
    expect(new Set(found.map(({ last }) => last)).size).toBe(found.length)
  })

  it('hides what it has not written over yet', () => {
    const found = cutAfterEachRound((rig, opened) => {
      append(opened, 1, 60, 222)
      rig.flush(opened)
      opened.log.truncateFrom(logIndex(11))
      append(opened, 2, 120, 222)
    })
    expect(found.length).toBeGreaterThan(3)
    expect(found.flatMap(({ notes }) => notes)).toEqual([])
    // The first sync is that of the truncation.
    expect(new Set(found.map(({ last }) => last)).size).toBe(found.length)
  })
})
