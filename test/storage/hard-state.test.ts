import { describe, expect, it } from 'vitest'
import type { LogIndex, Term } from '../../raft/index.ts'
import {
  decodeSlot,
  encodeSlot,
  firstHardState,
  markIntervalBytes,
  readHardState,
  slotBytes,
  slotSpacingBytes,
} from '../../src/storage/hard-state.ts'
import { firstIncarnation, type OpenedLog } from '../../src/storage/open-log.ts'
import { SimRandom } from '../../chaos/sim/random.ts'
import { append, rigDirectory, StorageRig } from './rig.ts'

const path = `${rigDirectory}/hard-state`
const directoryId = Uint8Array.from({ length: 16 }, (_, i) => i + 1)

function slots(rig: StorageRig, id: Uint8Array): { readonly counter: number; readonly term: number; readonly mark: number }[] {
  const bytes = rig.disk.contentOf(path) ?? new Uint8Array(0)
  return [0, slotSpacingBytes].map(position => {
    const { counter, term, mark } = decodeSlot(bytes.subarray(position, position + slotBytes), id) ?? { counter: -1, term: -1, mark: -1 }
    return { counter, term, mark }
  })
}

function save(rig: StorageRig, opened: OpenedLog, term: number, votedFor?: number): void {
  let isReleased = false
  opened.hardState.save({ term: term as Term, votedFor }, error => {
    if (error !== undefined) throw error
    isReleased = true
  })
  rig.scheduler.runUntilTrue(() => isReleased, 10_000)
  expect(isReleased).toBe(true)
}

/** Damages the slot that holds the newest, or the older, state. */
function loseSlot(rig: StorageRig, id: Uint8Array, which: 'newest' | 'older'): void {
  const [first, second] = slots(rig, id).map(slot => slot.counter)
  const newest = (first ?? 0) > (second ?? 0) ? 0 : 1
  const disk = rig.disk.openProcess()
  disk.open(path, { create: false }).writeSync(Buffer.from('lost'), slotSpacingBytes * (which === 'newest' ? newest : 1 - newest) + 10)
}

/** A log of term 7 beside a hard state of term 0, as when an old copy of the file was put back. */
function anOlderHardState(name: string): StorageRig {
  const rig = new StorageRig(name)
  const opened = rig.open()
  append(opened, 7, 1)
  rig.flush(opened)
  rig.kill()
  return rig
}

describe('a slot', () => {
  it('has exactly these bytes', () => {
    const record = {
      counter: 258,
      term: 7,
      votedFor: 3,
      mark: 0x1_0000_0002,
      markLink: { term: 6, headerCrc: 0x01020304 },
      incarnation: 5,
      hasTornTail: true,
      isVoteWithheld: true,
    }
    expect(Buffer.from(encodeSlot(record, directoryId)).toString('hex')).toBe(
      '524d5153' + // 0 "RMQS"
        '0200' + // 4 format 2
        '0300' + // 6 flags: torn tail, vote withheld
        '0201000000000000' + // 8 counter 258
        '0700000000000000' + // 16 term 7
        '0200000001000000' + // 24 durable mark 2^32 + 2
        '0102030405060708090a0b0c0d0e0f10' + // 32 directory id
        '0500000000000000' + // 48 incarnation 5
        '03000000' + // 56 voted for node 3
        '04030201' + // 60 headerCrc of the record at the mark
        '0600000000000000' + // 64 its term 6
        '00000000' + // 72
        '43de42e0', // 76 crc of the bytes above
    )
    expect(decodeSlot(encodeSlot(record, directoryId), directoryId)).toEqual(record)
    expect(decodeSlot(encodeSlot(firstHardState, directoryId), directoryId)).toEqual(firstHardState)
  })

  it('is refused with any bit flipped, cut, or of another directory', () => {
    const bytes = encodeSlot({ ...firstHardState, term: 9 }, directoryId)
    for (let bit = 0; bit < slotBytes * 8; bit++) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(decodeSlot(flipped, directoryId)).toBeUndefined()
    }
    expect(decodeSlot(bytes.subarray(0, 79), directoryId)).toBeUndefined()
    expect(decodeSlot(new Uint8Array(80), directoryId)).toBeUndefined()
    expect(decodeSlot(bytes, directoryId.slice().reverse())).toBeUndefined()
  })
})

describe('the hard state', () => {
  it('survives a power cut from the moment it is released', () => {
    for (let seed = 0; seed < 20; seed++) {
      const rig = new StorageRig(`released/${seed}`)
      const opened = rig.open()
      save(rig, opened, 3, 2)
      save(rig, opened, 4, 1)
      rig.cutPower()
      expect(rig.open().recovered.hardState).toEqual({ term: 4, votedFor: 1 })
    }
  })

  it('stands in both slots, written one after the other, before anybody hears that it is saved', () => {
    const rig = new StorageRig('both')
    const opened = rig.open()
    const before = rig.disk.operations
    save(rig, opened, 3, 2)
    expect(slots(rig, opened.directoryId).map(slot => slot.term)).toEqual([3, 3])
    // A write and a sync for each: never both slots in one write that the power may cut.
    expect(rig.disk.operations - before).toBe(4)
  })

  it('waits for both slots also when a mark is on its way to one of them', () => {
    const rig = new StorageRig('mark on its way')
    const opened = rig.open()
    opened.hardState.noteDurable({ index: 5, link: { term: 1, headerCrc: 7 } }, markIntervalBytes)
    save(rig, opened, 3, 2)
    expect(slots(rig, opened.directoryId)).toMatchObject([
      { term: 3, mark: 5 },
      { term: 3, mark: 5 },
    ])
  })

  it('takes states in order; what waits goes out together, with the newest', () => {
    const rig = new StorageRig('order')
    const opened = rig.open()
    const released: number[] = []
    for (const term of [1, 2, 3]) opened.hardState.save({ term: term as Term, votedFor: undefined }, () => released.push(term))
    expect(released).toEqual([])
    const before = rig.disk.operations
    rig.settle()
    expect(released).toEqual([1, 2, 3])
    expect(slots(rig, opened.directoryId).map(slot => slot.term)).toEqual([3, 3])
    expect(rig.disk.operations - before).toBeLessThanOrEqual(6)
  })

  it('counts starts, before the node can speak', () => {
    const rig = new StorageRig('starts')
    const first = rig.open().recovered.incarnation
    for (let start = 1; start <= 3; start++) {
      expect(rig.open().recovered.incarnation).toBe(first + start)
      rig.cutPower()
    }
  })

  it('of a new directory counts on from where no earlier directory of that number can have counted', () => {
    const random = new SimRandom('dates')
    const dateless = Array.from({ length: 20 }, () => firstIncarnation(0, random))
    expect(new Set(dateless).size).toBe(20)
    expect(dateless.every(number => number >= 1 && number <= 2 ** 20)).toBe(true)
    const wallMs = Date.UTC(2026, 10, 21)
    expect(firstIncarnation(wallMs, random)).toBe((wallMs - Date.UTC(2025, 0, 1)) / 1_000)
    expect(firstIncarnation(wallMs + 60_000, random)).toBe(firstIncarnation(wallMs, random) + 60)
    expect(firstIncarnation(Number.MAX_SAFE_INTEGER, random)).toBe(2 ** 29)
  })

  it('of a new directory is held back like after a torn tail', () => {
    const rig = new StorageRig('new')
    expect(rig.open().recovered).toMatchObject({ hasTornTail: true, isVoteWithheld: false, last: { term: 0, index: 0 } })
    expect(rig.open().recovered.hasTornTail).toBe(true)
  })

  it.each(['newest', 'older'] as const)('that was told survives a power cut and the loss of its %s slot with it', which => {
    for (let seed = 0; seed < 20; seed++) {
      const rig = new StorageRig(`lost ${which}/${seed}`)
      const opened = rig.open()
      save(rig, opened, 3, 2)
      save(rig, opened, 9, 1)
      rig.cutPower()
      loseSlot(rig, opened.directoryId, which)
      const second = rig.open()
      expect(second.recovered).toMatchObject({ hardState: { term: 9, votedFor: 1 }, isVoteWithheld: false })
      expect(second.notes.join()).toMatch(/one of its two slots is unreadable; written anew from the other/)
      expect(slots(rig, opened.directoryId).map(slot => slot.term)).toEqual([9, 9])
    }
  })

  it('is held back over restarts until trust is restored', () => {
    const rig = anOlderHardState('trust')
    const second = rig.open()
    expect(second.recovered).toMatchObject({ hardState: { term: 7, votedFor: undefined }, isVoteWithheld: true })
    save(rig, second, 8)
    const third = rig.open()
    expect(third.recovered.isVoteWithheld).toBe(true)
    third.hardState.trustRestored('vote')
    rig.settle()
    expect(rig.open().recovered).toMatchObject({ hardState: { term: 8, votedFor: undefined }, isVoteWithheld: false })
  })

  it('is free again when a vote is cast, for that is the core that had held back', () => {
    const rig = anOlderHardState('cast')
    const second = rig.open()
    save(rig, second, 8, 1)
    rig.kill()
    expect(rig.open().recovered.isVoteWithheld).toBe(false)
  })

  it('is never behind the log: its term is at least that of the last entry', () => {
    const rig = anOlderHardState('behind')
    expect(rig.open().recovered.hardState).toEqual({ term: 7, votedFor: undefined })
  })

  it('that is older than the log may have forgotten a vote: it is withheld', () => {
    const rig = anOlderHardState('older')
    expect(rig.open().recovered.isVoteWithheld).toBe(true)
    rig.kill()
    expect(rig.open().recovered.isVoteWithheld).toBe(true)
  })

  it.each(['write', 'sync'] as const)('tells a failed %s, and nothing is saved any more', operation => {
    const rig = new StorageRig('poison')
    const opened = rig.open()
    rig.disk.failNext({ operation, pathPart: 'hard-state', code: 'EIO' })
    const errors: (string | undefined)[] = []
    opened.hardState.save({ term: 1 as Term, votedFor: undefined }, error => errors.push(error?.message))
    rig.settle()
    opened.hardState.save({ term: 2 as Term, votedFor: undefined }, error => errors.push(error?.message))
    rig.settle()
    expect(errors).toHaveLength(2)
    for (const error of errors) expect(error).toMatch(/hard-state: writing term and vote failed \(EIO: .*; this node goes silent and stops/)
    rig.kill()
    expect(rig.open().recovered.hardState.term).toBeLessThanOrEqual(1)
  })
})

describe('the second of its two writes', () => {
  it.each(['write', 'sync'] as const)('that fails at its %s is told like the first', operation => {
    const rig = new StorageRig('second-slot')
    const opened = rig.open()
    rig.settle()
    const errors: (string | undefined)[] = []
    const before = rig.disk.operations
    opened.hardState.save({ term: 1 as Term, votedFor: 2 }, error => errors.push(error?.message))
    // The first slot is written, and synced where the second is to fail at its sync.
    rig.scheduler.runUntilTrue(() => rig.disk.operations >= before + (operation === 'write' ? 1 : 2), 1_000)
    rig.disk.failNext({ operation, pathPart: 'hard-state', code: 'EIO' })
    rig.settle()
    expect(errors).toEqual([expect.stringMatching(/hard-state: writing term and vote failed \(EIO: /)])
  })
})

describe('the durable mark', () => {
  it.each([
    [7, 8],
    [8, 7],
  ])('is that of the slot that was written last, of two that were written as number %i and %i', (...counters) => {
    const disk = new StorageRig('two slots').disk.openProcess()
    disk.makeDirectory(rigDirectory)
    const file = disk.open(path, { create: true })
    for (const [i, counter] of counters.entries()) {
      file.writeSync(encodeSlot({ ...firstHardState, counter, mark: 10 * counter }, directoryId), i * slotSpacingBytes)
    }
    expect(readHardState(disk, rigDirectory, directoryId)).toMatchObject({ kind: 'found', record: { counter: 8, mark: 80 } })
  })

  it('is kept a second after it was told, and not for every flush', () => {
    const rig = new StorageRig('second')
    const opened = rig.open()
    rig.settle()
    append(opened, 1, 5)
    rig.flush(opened)
    const before = rig.disk.operations
    for (const index of [1, 2, 3, 4, 5]) opened.log.noteDurable(index as LogIndex)
    append(opened, 1, 1)
    rig.flush(opened)
    opened.log.noteDurable(6 as LogIndex)
    rig.settle(1_500)
    const marks = slots(rig, opened.directoryId).map(slot => slot.mark)
    expect(Math.max(...marks)).toBe(6)
    opened.log.noteDurable(6 as LogIndex)
    rig.settle(5_000)
    expect(rig.disk.operations - before).toBeLessThanOrEqual(8)
  })

  it('is kept at once after sixteen MiB', () => {
    const rig = new StorageRig('bytes')
    const { hardState, directoryId: id } = rig.open()
    rig.settle()
    hardState.noteDurable({ index: 1, link: undefined }, 10)
    rig.settle()
    hardState.noteDurable({ index: 2, link: undefined }, markIntervalBytes + 20)
    rig.settle(100)
    expect(Math.max(...slots(rig, id).map(slot => slot.mark))).toBe(2)
  })

  it('never passes what is really on disk, and goes down before a truncation goes below it', () => {
    const rig = new StorageRig('down')
    const opened = rig.open()
    append(opened, 1, 10)
    rig.flush(opened)
    append(opened, 1, 10)
    opened.log.noteDurable(20 as LogIndex)
    rig.settle()
    expect(opened.hardState.mark).toBe(10)
    opened.log.truncateFrom(4 as LogIndex)
    opened.log.noteDurable(10 as LogIndex)
    append(opened, 2, 1)
    rig.flush(opened)
    expect(opened.hardState.mark).toBe(3)
    opened.log.noteDurable(4 as LogIndex)
    rig.settle()
    rig.cutPower()
    const again = rig.open()
    expect(again.recovered.last).toEqual({ term: 2, index: 4 })
    expect(again.hardState.mark).toBe(4)
  })

  it('is told for the last time when the log and the hard state are closed', () => {
    const rig = new StorageRig('close')
    const opened = rig.open()
    append(opened, 1, 5)
    rig.flush(opened)
    let isClosed = false
    opened.log.close(() => opened.hardState.close(() => (isClosed = true)))
    rig.settle(500)
    expect(isClosed).toBe(true)
    expect(Math.max(...slots(rig, opened.directoryId).map(slot => slot.mark))).toBe(5)
    rig.kill()
    expect(rig.open().recovered.last.index).toBe(5)
  })

  it('is the end of the log after a start, so that what the start has seen is not taken for torn later', () => {
    const rig = new StorageRig('start')
    const opened = rig.open()
    append(opened, 1, 5)
    rig.flush(opened)
    rig.kill()
    expect(rig.open().hardState.mark).toBe(5)
  })
})
