/** The oldest segments go: what is left is whole, also after a power cut at any step, and nothing that was not given up is ever missing. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeMembership, UnreadableEntry } from '../../raft/index.ts'
import type { LogIndex } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { recordHeaderBytes } from '../../src/storage/record.ts'
import { segmentHeaderBytes } from '../../src/storage/segment.ts'
import { append, bodyOf, StorageRig } from './rig.ts'
import {
  bodyBytes,
  expectWhole,
  limits,
  logDirectory,
  oneMember,
  rigWithMemberships,
  rigWithSegments,
  segmentFiles,
  twoMembers,
} from './trim-rig.ts'

describe('trimming the log', () => {
  it('deletes whole segments that end below the index, and no other', () => {
    const { rig, opened } = rigWithSegments()
    const [, second = 0, third = 0] = segmentFiles(rig)
    opened.log.trimTo((third - 1) as LogIndex)
    rig.settle()
    expect(opened.log.firstIndex).toBe(second)
    expect(segmentFiles(rig)[0]).toBe(second)
    opened.log.trimTo(third as LogIndex)
    rig.settle()
    expect(opened.log.firstIndex).toBe(third)
    expect(segmentFiles(rig)[0]).toBe(third)
    expectWhole(opened)
  })

  it('keeps the newest segment, whatever it is told', () => {
    const { rig, opened } = rigWithSegments()
    const last = segmentFiles(rig).at(-1) ?? 0
    opened.log.trimTo(1_000_000 as LogIndex)
    rig.settle()
    expect(opened.log.firstIndex).toBe(last)
    expect(segmentFiles(rig)).toEqual([last])
    append(opened, 2, 30, bodyBytes)
    rig.flush(opened)
    expectWhole(opened, 130)
  })

  it('keeps what is not yet on disk, and what the disk knows no successor of', () => {
    const rig = new StorageRig('unwritten', limits)
    const opened = rig.open()
    append(opened, 1, 100, bodyBytes)
    opened.log.trimTo(90 as LogIndex)
    expect(opened.log.firstIndex).toBe(1)
    rig.flush(opened)
    opened.log.trimTo(90 as LogIndex)
    expect(opened.log.firstIndex).toBeGreaterThan(60)
    rig.settle()
    expectWhole(opened)
  })

  it('says no more of what is gone: no block, no entry, no descriptor', () => {
    const { rig, opened } = rigWithSegments()
    const { log } = opened
    expect(log.entry(2 as LogIndex).index).toBe(2)
    log.trimTo(50 as LogIndex)
    const first = log.firstIndex
    expect(log.readBlock((first - 1) as LogIndex, 100 as LogIndex, 1_000)).toBeUndefined()
    expect(() => log.entry((first - 1) as LogIndex)).toThrow(/entry-below-log/)
    rig.settle()
    expect(log.status().openFiles).toBeLessThanOrEqual(segmentFiles(rig).length)
  })

  it('still knows the term of the last entry that is gone: who ends there can be fed', () => {
    const { rig, opened } = rigWithSegments()
    opened.log.trimTo(50 as LogIndex)
    const first = opened.log.firstIndex
    expect(opened.log.readBlock(first, 100 as LogIndex, 1_000)?.prev).toEqual({ term: 1, index: first - 1 })
    rig.settle()
    rig.kill()
    const again = rig.open()
    expect(again.recovered.firstIndex).toBe(first)
    expect(again.recovered.runs[0]).toEqual({ firstIndex: first - 1, term: 1 })
    expect(again.log.readBlock(first, 100 as LogIndex, 1_000)?.prev).toEqual({ term: 1, index: first - 1 })
  })

  it('goes on where it was after a restart, and appends and truncates as before', () => {
    const { rig, opened } = rigWithSegments()
    opened.log.trimTo(70 as LogIndex)
    rig.settle()
    rig.kill()
    const again = rig.open()
    expect(again.notes).toEqual([])
    expectWhole(again)
    again.log.truncateFrom(again.log.firstIndex)
    append(again, 3, 5, bodyBytes)
    rig.flush(again)
    rig.settle()
    rig.kill()
    const third = rig.open()
    expect(third.log.firstIndex).toBe(again.log.firstIndex)
    expectWhole(third, again.log.firstIndex + 4)
  })
})

describe('trimming a log whose newest config entry has rotted', () => {
  const rotten = 31

  /** Entry 31 says who the members are; nobody can read it any more. */
  function rigWithRot(seed: string): { rig: StorageRig; opened: OpenedLog } {
    const { rig, opened } = rigWithMemberships(seed)
    const segment = mustExist(
      segmentFiles(rig).findLast(first => first <= rotten),
      'segment',
    )
    const positions = Array.from(
      { length: rotten - segment + 1 },
      (_, i) => (segment + i === 1 ? encodeMembership(oneMember).length : bodyBytes) + recordHeaderBytes,
    )
    const before = positions.slice(0, -1).reduce((sum, bytes) => sum + bytes, 0)
    rig.disk.flipBit(`${logDirectory}/${String(segment).padStart(20, '0')}.log`, segmentHeaderBytes + before + 60)
    expect(() => opened.log.entry(rotten as LogIndex)).toThrow(UnreadableEntry)
    return { rig, opened }
  }

  it('goes on with what the applied state knows of that entry, at work and at the next start', () => {
    const { rig, opened } = rigWithRot('pinned')
    opened.log.knowMembership({ index: rotten, body: encodeMembership(twoMembers) })
    opened.log.trimTo(70 as LogIndex)
    expect(opened.log.firstIndex).toBeGreaterThan(rotten)
    expect(opened.log.memberships()).toEqual([{ index: rotten, membership: twoMembers }])
    expect(opened.repair.wanted).toBeUndefined()
    rig.settle()
    rig.kill()
    const again = rig.open()
    expect(again.recovered.memberships).toEqual([{ index: rotten, membership: twoMembers }])
    expectWhole(again)
  })

  it('stops before it while the state knows another one only, which is no word on what stood there', () => {
    const { opened } = rigWithRot('kept')
    opened.log.knowMembership({ index: 1, body: encodeMembership(oneMember) })
    opened.log.trimTo(70 as LogIndex)
    expect(opened.log.firstIndex).toBeLessThanOrEqual(rotten)
    opened.log.knowMembership({ index: rotten, body: encodeMembership(twoMembers) })
    opened.log.trimTo(70 as LogIndex)
    expect(opened.log.firstIndex).toBeGreaterThan(rotten)
  })
})

describe('a power cut at any step of a deletion', () => {
  it.each([1, 2, 3])('leaves a log without a gap that begins at or below the trim (draw %i)', draw => {
    const { rig: counted, opened } = rigWithSegments()
    const before = counted.disk.operations
    opened.log.trimTo(80 as LogIndex)
    counted.settle()
    const steps = counted.disk.operations - before
    expect(steps).toBeGreaterThan(8)
    for (let step = 1; step <= steps; step++) {
      const { rig, opened: victim } = rigWithSegments(`trim/${draw}/${step}`)
      rig.disk.crashAfter(rig.disk.operations + step)
      try {
        victim.log.trimTo(80 as LogIndex)
        rig.settle()
      } catch (error) {
        if (rig.disk.isInUse) throw error
      }
      rig.cutPower()
      const again = rig.open()
      expect(again.log.firstIndex).toBeLessThanOrEqual(80)
      expectWhole(again)
      again.log.trimTo(80 as LogIndex)
      rig.settle()
      expect(segmentFiles(rig)[0]).toBe(again.log.firstIndex)
      expectWhole(again)
    }
  })

  it('leaves a log that knows who belongs to the group', () => {
    for (let step = 1; ; step++) {
      const { rig, opened } = rigWithMemberships(`members/${step}`)
      rig.disk.crashAfter(rig.disk.operations + step)
      let hasCrashed = false
      try {
        opened.log.trimTo(20 as LogIndex)
        rig.settle()
        opened.log.trimTo(80 as LogIndex)
        rig.settle()
      } catch (error) {
        if (rig.disk.isInUse) throw error
        hasCrashed = true
      }
      rig.cutPower()
      const { memberships, firstIndex } = rig.open().recovered
      expect(memberships.at(-1)).toEqual({ index: 31, membership: twoMembers })
      if (firstIndex <= 31) expect(memberships[0]).toEqual({ index: 1, membership: oneMember })
      if (hasCrashed) continue
      expect(step).toBeGreaterThan(8)
      return
    }
  })
})

describe('whatever is done to the log', () => {
  type Step = { readonly do: 'append' | 'trim' | 'truncate' | 'flush' | 'settle' | 'kill' | 'power'; readonly n: number }
  const steps = fc.array(
    fc.record<Step>({
      do: fc.constantFrom<Step['do'][]>(
        'append',
        'append',
        'append',
        'trim',
        'trim',
        'truncate',
        'flush',
        'flush',
        'settle',
        'kill',
        'power',
      ),
      n: fc.nat(60),
    }),
    { maxLength: 60 },
  )

  it('no entry at or above the trim, once durable, is ever missing', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(steps, fc.nat(), (list, seed) => {
        const rig = new StorageRig(`property/${seed}`, limits)
        let opened = rig.open()
        let durable = 0
        let trimmed = 1
        let term = 1
        for (const { do: what, n } of list) {
          const last = opened.log.lastId.index
          if (what === 'append') append(opened, term, n, bodyBytes)
          else if (what === 'trim') {
            // Retention gives up only what is applied, and so durable.
            trimmed = Math.max(trimmed, Math.min(durable, n * 3))
            opened.log.trimTo(trimmed as LogIndex)
          } else if (what === 'truncate') {
            const from = Math.max(trimmed, durable, opened.log.firstIndex) + 1
            if (from <= last) opened.log.truncateFrom(from as LogIndex)
            term++
          } else if (what === 'flush') {
            rig.flush(opened)
            durable = opened.log.lastId.index
            opened.log.noteDurable(durable as LogIndex)
          } else if (what === 'settle') rig.settle(n)
          else {
            if (what === 'kill') rig.kill()
            else rig.cutPower()
            opened = rig.open()
          }
          expect(opened.log.firstIndex).toBeLessThanOrEqual(trimmed)
          expect(opened.log.lastId.index).toBeGreaterThanOrEqual(durable)
        }
        for (let index: number = opened.log.firstIndex; index <= durable; index++) {
          const entry = opened.log.entry(index as LogIndex)
          if (!Buffer.from(entry.body).equals(bodyOf(entry.term, index, bodyBytes))) throw new Error(`entry ${index} is another one`)
        }
      }),
      { numRuns: 150 },
    )
  })
})
