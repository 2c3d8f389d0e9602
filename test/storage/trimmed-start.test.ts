/** What a start knows of a log whose oldest segments are gone: where it begins, and who belongs to the group, by what is on record and by what still stands there. */
import { describe, expect, it } from 'vitest'
import { encodeMembership, firstMembership } from '../../raft/index.ts'
import type { LogIndex, NodeId } from '../../raft/index.ts'
import { crc32c, viewOf } from '../../src/platform/bytes.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { decodeBase, encodeBase } from '../../src/storage/log-base.ts'
import { segmentHeaderBytes } from '../../src/storage/segment.ts'
import { append } from './rig.ts'
import { baseFile, bodyBytes, logDirectory, oneMember, rigWithMemberships, rigWithSegments, segmentFiles, twoMembers } from './trim-rig.ts'

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
