/** The oldest segments go: what is left is whole, also after a power cut at any step, and nothing that was not given up is ever missing. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeMembership, EntryKind, firstMembership, UnreadableEntry } from '../../raft/index.ts'
import type { LogIndex, NodeId, Term } from '../../raft/index.ts'
import { crc32c, viewOf } from '../../src/platform/bytes.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { decodeBase, encodeBase } from '../../src/storage/log-base.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { recordHeaderBytes } from '../../src/storage/record.ts'
import { segmentHeaderBytes } from '../../src/storage/segment.ts'
import { append, bodyOf, entryBody, rigDirectory, StorageRig } from './rig.ts'

const bodyBytes = 152
const limits = logLimits(4 * 1024, { slabBytes: 1024, tailBytesMax: 2048, tailBytesIdle: 1024, openFilesMax: 4 })
const logDirectory = `${rigDirectory}/log`
const baseFile = `${logDirectory}/base`

/** 100 entries over several segments: 60 of term 1, 40 of term 2, all durable. */
function rigWithSegments(seed = 'trim'): { rig: StorageRig; opened: OpenedLog } {
  const rig = new StorageRig(seed, limits)
  const opened = rig.open()
  opened.hardState.save({ term: 2 as Term, votedFor: undefined }, () => undefined)
  append(opened, 1, 60, bodyBytes)
  append(opened, 2, 40, bodyBytes)
  rig.flush(opened)
  opened.log.noteDurable(100 as LogIndex)
  rig.settle()
  return { rig, opened }
}

const oneMember = firstMembership([{ id: 1 as NodeId, name: 'n1', address: 'h:1', clientAddress: 'h:2' }])
const twoMembers = firstMembership([...oneMember.members, { id: 2 as NodeId, name: 'n2', address: 'h:3', clientAddress: 'h:4' }])

/** 100 entries, of which the first and another one say who belongs to the group. */
function rigWithMemberships(seed: string, second = 31): { rig: StorageRig; opened: OpenedLog } {
  const rig = new StorageRig(seed, limits)
  const opened = rig.open()
  for (const [firstIndex, membership] of [[1, oneMember] as const, [second, twoMembers] as const]) {
    append(opened, 1, firstIndex - 1 - opened.log.lastId.index, bodyBytes)
    const stamp = { term: 1 as Term, firstIndex: firstIndex as LogIndex, kind: EntryKind.config, wallMs: 1_000 + firstIndex }
    opened.log.appendOwn(stamp, [entryBody(encodeMembership(membership))])
  }
  append(opened, 1, 100 - second, bodyBytes)
  rig.flush(opened)
  rig.settle()
  return { rig, opened }
}

function segmentFiles(rig: StorageRig): number[] {
  return rig.disk
    .files()
    .filter(path => path.endsWith('.log'))
    .map(path => Number(path.slice(-24, -4)))
}

function expectWhole({ log }: OpenedLog, lastIndex = 100): void {
  expect(log.lastId.index).toBe(lastIndex)
  for (let index: number = log.firstIndex; index <= lastIndex; index++) {
    const entry = log.entry(index as LogIndex)
    expect(Buffer.from(entry.body).equals(bodyOf(entry.term, index, entry.body.length))).toBe(true)
  }
}

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

describe('a start on a trimmed log', () => {
  it('refuses a log whose first segment is missing', () => {
    const { rig, opened } = rigWithSegments()
    opened.log.trimTo(50 as LogIndex)
    rig.settle()
    rig.kill()
    const first = segmentFiles(rig)[0] ?? 0
    const disk = rig.disk.openProcess()
    disk.remove(`${logDirectory}/${String(first).padStart(20, '0')}.log`)
    expect(() => rig.open()).toThrow(new RegExp(`entries ${first}\\.\\.\\d+ are missing`))
  })

  it('removes what a trim had not removed yet', () => {
    const { rig, opened } = rigWithSegments()
    opened.log.trimTo(50 as LogIndex)
    const first = opened.log.firstIndex
    // The base is on disk, the segments are still there.
    rig.scheduler.runUntilTrue(() => rig.disk.durableBytes(baseFile) !== undefined, 1_000)
    rig.kill()
    expect(segmentFiles(rig)[0]).toBeLessThan(first)
    const again = rig.open()
    expect(again.log.firstIndex).toBe(first)
    expect(segmentFiles(rig)[0]).toBe(first)
  })

  it.each([20, 4096 + 20])('reports a rotten record of the beginning and writes it anew, from its other copy (byte %i)', position => {
    const { rig, opened } = rigWithSegments()
    opened.log.trimTo(50 as LogIndex)
    const first = opened.log.firstIndex
    rig.settle()
    rig.kill()
    rig.disk.flipBit(baseFile, position)
    const again = rig.open()
    expect(again.log.firstIndex).toBe(first)
    expect(again.notes).toContain(`${baseFile}: it fails its checksum; the log begins with entry ${first}, which is put on record again`)
    rig.kill()
    expect(rig.open().notes).toEqual([])
  })

  it('believes the segments where both copies are rotten', () => {
    const { rig, opened } = rigWithSegments()
    opened.log.trimTo(50 as LogIndex)
    const first = opened.log.firstIndex
    rig.settle()
    rig.kill()
    rig.disk.flipBit(baseFile, 20)
    rig.disk.flipBit(baseFile, 4096 + 20)
    expect(rig.open().log.firstIndex).toBe(first)
    rig.kill()
    expect(rig.open().notes).toEqual([])
  })

  it('goes on from a record that builds before have written, and puts the membership that the state knows into the next one', () => {
    const { rig, opened } = rigWithSegments()
    opened.log.trimTo(50 as LogIndex)
    const first = opened.log.firstIndex
    rig.settle()
    rig.kill()
    const disk = rig.disk.openProcess()
    const file = disk.open(baseFile, { create: true })
    const bytes = new Uint8Array(60)
    file.readSync(bytes, 0)
    bytes[4] = 1
    viewOf(bytes).setUint32(56, crc32c(bytes.subarray(0, 56)), true)
    file.truncateSync(0)
    file.writeSync(bytes, 0)
    file.syncSync()
    file.close()
    const again = rig.open()
    expect(again.notes).toEqual([])
    expect(again.log.firstIndex).toBe(first)
    expect(again.recovered.memberships).toEqual([])
    again.log.knowMembership({ index: 1, body: encodeMembership(oneMember) })
    again.log.trimTo(90 as LogIndex)
    rig.settle()
    rig.kill()
    expect(rig.open().recovered.memberships).toEqual([{ index: 1, membership: oneMember }])
  })

  it('knows the membership whose config entry was deleted', () => {
    const { rig, opened } = rigWithMemberships('membership')
    expect(opened.log.memberships()).toEqual([
      { index: 1, membership: oneMember },
      { index: 31, membership: twoMembers },
    ])
    opened.log.trimTo(70 as LogIndex)
    expect(opened.log.memberships()).toEqual([{ index: 31, membership: twoMembers }])
    rig.settle()
    rig.kill()
    const again = rig.open()
    expect(again.log.firstIndex).toBeGreaterThan(31)
    expect(again.recovered.memberships).toEqual([{ index: 31, membership: twoMembers }])
    // And through the next cut.
    again.log.trimTo(90 as LogIndex)
    rig.settle()
    rig.kill()
    expect(rig.open().recovered.memberships).toEqual([{ index: 31, membership: twoMembers }])
  })

  it('knows the newest of several memberships that stood in one segment', () => {
    const { rig, opened } = rigWithMemberships('one segment', 5)
    opened.log.trimTo(70 as LogIndex)
    expect(opened.log.memberships()).toEqual([{ index: 5, membership: twoMembers }])
    rig.settle()
    rig.kill()
    expect(rig.open().recovered.memberships).toEqual([{ index: 5, membership: twoMembers }])
  })

  it('knows nothing of a membership whose entry was cut off, whatever stands in its place', () => {
    const { rig, opened } = rigWithMemberships('cut off')
    opened.log.truncateFrom(31 as LogIndex)
    expect(opened.log.memberships()).toEqual([{ index: 1, membership: oneMember }])
    append(opened, 2, 70, bodyBytes)
    rig.flush(opened)
    rig.settle()
    rig.kill()
    expect(rig.open().recovered.memberships).toEqual([{ index: 1, membership: oneMember }])
  })

  it('tells a start that finds rot who the members are, by what stands before it and by what was deleted', () => {
    for (const trimmedTo of [1, 70]) {
      const { rig, opened } = rigWithMemberships(`who has it ${trimmedTo}`)
      opened.log.trimTo(trimmedTo as LogIndex)
      rig.settle()
      rig.kill()
      const { disk } = rig.openOptions()
      for (const name of rig.disk.files()) if (name.endsWith('.idx')) disk.remove(name)
      // Sealed: no torn tail.
      rig.disk.flipBit(`${logDirectory}/${mustExist(opened.log.segments.at(-2), 'segment').name}`, segmentHeaderBytes + 60)
      const asked: number[] = []
      const refuse = (): unknown => rig.open({ hasPeers: inLog => asked.push(...inLog.map(({ index }) => index)) === 0 })
      expect(refuse).toThrow('so nothing is cut off; restore the file or join as a new node')
      expect(asked).toEqual(trimmedTo === 1 ? [1, 31] : [31])
      expect(rig.open({ hasPeers: () => true }).recovered.isRecovering).toBe(true)
    }
  })

  it('keeps a segment whose config entry has rotted, until that is mended', () => {
    const { rig, opened } = rigWithMemberships('rotten membership')
    rig.kill()
    const first = `${logDirectory}/${'1'.padStart(20, '0')}.log`
    rig.disk.flipBit(first, segmentHeaderBytes + 60)
    const again = rig.open({ hasPeers: () => true })
    again.log.trimTo(20 as LogIndex)
    expect(again.log.firstIndex).toBe(1)
    expect(opened.log.firstIndex).toBe(1)
  })

  it('has room for the largest membership', () => {
    const text = (id: number): string => `${id}`.padEnd(255, 'ü')
    const members = Array.from({ length: 32 }, (_, i) => ({
      id: (i + 1) as NodeId,
      name: text(i),
      address: text(i),
      clientAddress: text(i),
    }))
    const membership = { ...firstMembership(members), voters: [1 as NodeId] }
    const body = encodeMembership(membership)
    const directoryId = new Uint8Array(16).fill(7)
    const base = { link: { index: 9, term: 2, wallMs: 3, headerCrc: 4 }, membership: { index: 5, body } }
    const bytes = encodeBase(base, directoryId)
    expect(decodeBase(bytes, directoryId)).toEqual({ kind: 'found', base, damage: undefined })
  })

  it('finds one copy good whatever bit of the file is flipped, and tells of it where it matters', () => {
    const directoryId = new Uint8Array(16).fill(7)
    const base = { link: { index: 9, term: 2, wallMs: 3, headerCrc: 4 }, membership: { index: 5, body: encodeMembership(oneMember) } }
    const bytes = encodeBase(base, directoryId)
    const copyBytes = 72 + base.membership.body.length
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const position = bit >> 3
      const isInCopy = position % (bytes.length / 2) < copyBytes
      // Of the zeros behind a copy every hundredth bit will do.
      if (!isInCopy && bit % 100 > 0) continue
      const flipped = bytes.slice()
      flipped[position] = (flipped[position] ?? 0) ^ (1 << (bit & 7))
      const found = decodeBase(flipped, directoryId)
      if (found.kind !== 'found') throw new Error(`bit ${bit}: ${found.kind}`)
      expect(found.base.link).toEqual(base.link)
      expect(Buffer.from(found.base.membership?.body ?? '').equals(base.membership.body)).toBe(true)
      expect(found.damage !== undefined, `bit ${bit}`).toBe(isInCopy)
    }
  })

  it('stops the node when a segment can not be removed', () => {
    const { rig, opened } = rigWithSegments()
    rig.disk.failNext({ operation: 'remove', pathPart: '.log', code: 'EIO' })
    opened.log.trimTo(50 as LogIndex)
    rig.settle()
    append(opened, 2, 1)
    expect(() => rig.flush(opened)).toThrow(/writing the log failed/)
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
