import { describe, expect, it } from 'vitest'
import { logIndex, originId } from '../../raft/index.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import { pointSpacingBytes } from '../../src/storage/segment.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { append, bodyOf, bytesOf, entryBody, expectEntry, logFiles, StorageRig } from './rig.ts'

describe('the commit log', () => {
  it('gives back what was appended, at once, after a flush and after a power cut', () => {
    const rig = new StorageRig(1)
    const opened = rig.open()
    append(opened, 1, 300, 200)
    expectEntry(opened, 7, 1, 200)
    rig.flush(opened)
    expectEntry(opened, 7, 1, 200)
    rig.cutPower()
    const again = rig.open()
    expect(again.log.lastId).toEqual({ term: 1, index: 300 })
    for (const n of [1, 2, 77, 150, 299, 300]) expectEntry(again, n, 1, 200)
  })

  it('takes bodies of several parts, of no bytes, and larger than a segment', () => {
    const rig = new StorageRig(2)
    const opened = rig.open()
    const large = bodyOf(1, 3, 40_000)
    const bodies = [entryBody(Buffer.from('one'), Buffer.from(' and '), Buffer.from('two')), entryBody(), entryBody(large)]
    opened.log.appendOwn({ term: 1 as never, firstIndex: logIndex(1), kind: 2, wallMs: 5 }, bodies)
    append(opened, 1, 2, 10)
    rig.flush(opened)
    rig.cutPower()
    const { log } = rig.open()
    expect(Buffer.from(log.entry(logIndex(1)).body).toString()).toBe('one and two')
    expect(log.entry(logIndex(2))).toMatchObject({ kind: 2, wallMs: 5, body: new Uint8Array(0) })
    expect(Buffer.from(log.entry(logIndex(3)).body).equals(large)).toBe(true)
    expect(log.lastId.index).toBe(5)
    expect(logFiles(rig)).toHaveLength(3)
  })

  it('does not look at a body after it was appended', () => {
    const rig = new StorageRig(3)
    const opened = rig.open()
    const body = Buffer.from('as it was')
    opened.log.appendOwn({ term: 1 as never, firstIndex: logIndex(1), kind: 1, wallMs: 5 }, [entryBody(body)])
    body.fill(0)
    rig.flush(opened)
    expect(Buffer.from(opened.log.entry(logIndex(1)).body).toString()).toBe('as it was')
  })

  it('makes one write and one sync of everything that waits', () => {
    const rig = new StorageRig(4, logLimits(1024 * 1024))
    const opened = rig.open()
    append(opened, 1, 1, 100)
    rig.flush(opened)
    const { syncs } = opened.log.status()
    append(opened, 1, 500, 100)
    rig.flush(opened)
    expect(opened.log.status().syncs - syncs).toBe(1)
    expect(opened.log.hasUnflushed).toBe(false)
  })

  it('does not call back inside flush, also when there is nothing to do', () => {
    const rig = new StorageRig(5)
    const opened = rig.open()
    let calls = 0
    opened.log.flush(() => calls++)
    expect(calls).toBe(0)
    rig.settle()
    expect(calls).toBe(1)
  })

  it('gives followers the bytes that are on its own disk', () => {
    const leader = new StorageRig(6)
    const opened = leader.open()
    append(opened, 1, 40, 300)
    leader.flush(opened)
    const file = logFiles(leader)[0] ?? ''
    const block = opened.log.readBlock(logIndex(1), logIndex(40), 3_000)
    const written = Buffer.from(leader.disk.contentOf(file) ?? []).subarray(512, 512 + (block?.bytes ?? 0))
    expect(bytesOf(block).equals(written)).toBe(true)
  })

  it('cuts blocks at whole records, near the bound, with at least one', () => {
    const rig = new StorageRig(7)
    const opened = rig.open()
    append(opened, 1, 30, 152)
    append(opened, 3, 30, 152)
    const { log } = opened
    expect(log.readBlock(logIndex(1), logIndex(60), 1)).toMatchObject({ prev: originId, lastIndex: 1, bytes: 200, lastWallMs: 1_001 })
    expect(log.readBlock(logIndex(29), logIndex(60), 900)).toMatchObject({
      prev: { term: 1, index: 28 },
      lastIndex: 32,
      runs: [
        { firstIndex: 29, term: 1 },
        { firstIndex: 31, term: 3 },
      ],
    })
    expect(log.readBlock(logIndex(59), logIndex(59), 100_000)).toMatchObject({ lastIndex: 59, bytes: 200 })
    expect(log.readBlock(logIndex(59), logIndex(99), 100_000)).toMatchObject({ lastIndex: 60, bytes: 400 })
    expect(log.readBlock(logIndex(61), logIndex(99), 1_000)).toBeUndefined()
  })

  it('feeds a follower record by record, byte for byte, over any segment sizes', () => {
    const leaderRig = new StorageRig(8)
    const leader = leaderRig.open()
    append(leader, 1, 50, 333)
    append(leader, 2, 50, 444)
    leaderRig.flush(leader)
    const followerRig = new StorageRig('8f', logLimits(5_000, { slabBytes: 2_000 }))
    const follower = followerRig.open()
    while (follower.log.lastId.index < 100) {
      const next = follower.log.lastId.index + 1
      const block = leader.log.readBlock(logIndex(next), logIndex(100), 1_700)
      const checked = follower.log.checkBlock(block?.prev ?? originId, bytesOf(block))
      if (checked.kind !== 'ok') throw new Error(checked.problem)
      expect(checked.block).toMatchObject({
        prev: block?.prev,
        lastIndex: block?.lastIndex,
        runs: block?.runs,
        lastWallMs: block?.lastWallMs,
      })
      follower.log.appendBlock(checked.block, logIndex(next))
      followerRig.flush(follower)
    }
    followerRig.cutPower()
    const again = followerRig.open()
    const all = (opened: OpenedLog): Buffer => bytesOf(opened.log.readBlock(logIndex(1), logIndex(100), 1e6))
    expect(all(again).equals(all(leader))).toBe(true)
    expect(again.log.termRuns).toEqual(leader.log.termRuns)
  })

  it('takes only what it lacks of a block', () => {
    const leader = new StorageRig(9).open()
    append(leader, 1, 10, 100)
    const block = leader.log.readBlock(logIndex(1), logIndex(10), 1e6)
    const follower = new StorageRig('9f').open()
    const checked = follower.log.checkBlock(originId, bytesOf(block))
    if (checked.kind !== 'ok' || block === undefined) throw new Error('not taken')
    const firstFour = leader.log.readBlock(logIndex(1), logIndex(4), 1e6)
    if (firstFour === undefined) throw new Error('nothing')
    follower.log.appendBlock(firstFour, logIndex(1))
    follower.log.appendBlock(checked.block, logIndex(5))
    expect(bytesOf(follower.log.readBlock(logIndex(1), logIndex(10), 1e6)).equals(bytesOf(block))).toBe(true)
  })

  it('does not believe a block with any bit flipped or cut anywhere', () => {
    const leader = new StorageRig(10).open()
    append(leader, 1, 3, 20)
    const block = leader.log.readBlock(logIndex(2), logIndex(3), 1e6)
    const bytes = bytesOf(block)
    const prev = { term: 1, index: 1 } as typeof originId
    expect(leader.log.checkBlock(prev, bytes).kind).toBe('ok')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(leader.log.checkBlock(prev, flipped).kind).toBe('corrupt')
    }
    for (let length = 1; length < bytes.length; length++) {
      expect(leader.log.checkBlock(prev, bytes.subarray(0, length)).kind).toBe(length === 68 ? 'ok' : 'corrupt')
    }
    expect(leader.log.checkBlock(originId, bytes)).toEqual({
      kind: 'corrupt',
      problem: 'record 1, byte 0 of a block, does not fit the record before it',
    })
  })

  it('does not believe a block that follows another record of the same index and term', () => {
    const one = new StorageRig(11).open()
    append(one, 1, 2, 20)
    const other = new StorageRig('11b').open()
    append(other, 1, 2, 21)
    const block = other.log.readBlock(logIndex(2), logIndex(2), 1e6)
    const checked = one.log.checkBlock({ term: 1, index: 1 } as typeof originId, bytesOf(block))
    expect(checked).toEqual({ kind: 'corrupt', problem: 'record 2, byte 0 of a block, does not fit the record before it' })
  })
})

describe('memory', () => {
  it('is bounded: older entries are read back, block by block', () => {
    const rig = new StorageRig(30)
    const opened = rig.open()
    for (let i = 0; i < 40; i++) {
      append(opened, 1, 20, 200)
      rig.flush(opened)
    }
    const before = opened.log.status()
    expect(before.tailBytes).toBeLessThanOrEqual(rig.limits.tailBytesMax + rig.limits.slabBytes)
    for (let n = 1; n <= 800; n++) expectEntry(opened, n, 1, 200)
    const reads = opened.log.status().blockReads - before.blockReads
    expect(reads).toBeGreaterThan(5)
    expect(reads).toBeLessThan(60)
    expect(opened.log.status().openFiles).toBeLessThanOrEqual(4)
  })

  it('is given back after a quiet while', () => {
    const rig = new StorageRig(31)
    const opened = rig.open()
    append(opened, 1, 100, 200)
    rig.flush(opened)
    expect(opened.log.status().tailBytes).toBeGreaterThan(8_000)
    rig.settle(30_000)
    expect(opened.log.status().tailBytes).toBeLessThanOrEqual(4_096)
    expectEntry(opened, 3, 1, 200)
    append(opened, 1, 1, 200)
    rig.flush(opened)
    expectEntry(opened, 101, 1, 200)
  })

  it('knows how many bytes lie behind an entry, over segments and whatever is in memory, and reads nothing for it', () => {
    const rig = new StorageRig('behind')
    const opened = rig.open()
    append(opened, 1, 200, 700)
    rig.flush(opened)
    append(opened, 1, 50, 700)
    const { log } = opened
    const size = log.recordBytes(700)
    const { blockReads } = log.status()
    expect(log.segments.length).toBeGreaterThan(3)
    for (let n = 0; n <= 250; n += 10) {
      const bytes = log.bytesBehind(logIndex(n))
      expect(bytes).toBeGreaterThanOrEqual((250 - n) * size)
      expect(bytes).toBeLessThanOrEqual((250 - n) * size + pointSpacingBytes)
    }
    expect(log.bytesBehind(logIndex(249))).toBe(size)
    expect(log.bytesBehind(logIndex(250))).toBe(0)
    expect(log.status().blockReads).toBe(blockReads)
    log.truncateFrom(logIndex(241))
    expect(log.bytesBehind(logIndex(230))).toBe(10 * size)
  })

  it('keeps what is not on disk, however much that is', () => {
    const rig = new StorageRig(32)
    const opened = rig.open()
    append(opened, 1, 500, 200)
    for (const n of [1, 250, 500]) expectEntry(opened, n, 1, 200)
    expect(opened.log.status().blockReads).toBe(0)
  })
})

describe('a failing disk', () => {
  it.each([
    ['write', '.log'],
    ['sync', '.log'],
    ['sync', 'prepared'],
    ['write', 'prepared'],
    ['rename', 'prepared'],
    ['syncDirectory', 'log'],
  ] as const)('(%s of %s) poisons: this flush fails, all later ones too, nothing is tried again', (operation, pathPart) => {
    const rig = new StorageRig(`fail ${operation} ${pathPart}`)
    const opened = rig.open()
    append(opened, 1, 3, 200)
    rig.flush(opened)
    rig.disk.failNext({ operation, pathPart, code: 'EIO' })
    append(opened, 1, 100, 400)
    expect(() => rig.flush(opened)).toThrow(/writing the log failed \(EIO: .*\); this node goes silent and stops/)
    const { operations } = rig.disk
    append(opened, 1, 1, 400)
    expect(() => rig.flush(opened)).toThrow(/writing the log failed/)
    rig.settle()
    expect(rig.disk.operations).toBe(operations)
    rig.cutPower()
    expect(rig.open().log.lastId.index).toBeGreaterThanOrEqual(3)
  })

  it('that is full poisons too, and keeps what was acknowledged', () => {
    const rig = new StorageRig('full')
    const opened = rig.open()
    append(opened, 1, 3, 200)
    rig.flush(opened)
    rig.disk.capacityBytes = 30_000
    append(opened, 1, 100, 400)
    expect(() => rig.flush(opened)).toThrow(/ENOSPC/)
    rig.cutPower()
    rig.disk.capacityBytes = Infinity
    expect(rig.open().log.lastId.index).toBeGreaterThanOrEqual(3)
  })
})

describe('segments', () => {
  it('have the next one ready before it is needed', () => {
    const rig = new StorageRig(40)
    const opened = rig.open()
    append(opened, 1, 20, 400)
    rig.flush(opened)
    rig.settle()
    expect(logFiles(rig, 'prepared.tmp')).toHaveLength(1)
    const renamed = rig.disk.contentOf(logFiles(rig, 'prepared.tmp')[0] ?? '')
    expect(renamed?.length).toBe(rig.limits.fillStepBytes)
  })

  it('are filled with zeros ahead of the records, a step at a time', () => {
    const rig = new StorageRig(41, logLimits(256 * 1024))
    const opened = rig.open()
    append(opened, 1, 1, 400)
    rig.flush(opened)
    rig.settle()
    const size = rig.disk.contentOf(logFiles(rig)[0] ?? '')?.length ?? 0
    expect(size).toBeGreaterThan(4_000)
    expect(size).toBeLessThan(10_000)
  })

  it('being prepared when the process died are made anew', () => {
    const rig = new StorageRig(42)
    const opened = rig.open()
    append(opened, 1, 20, 400)
    rig.flush(opened)
    rig.settle()
    const [prepared = ''] = logFiles(rig, 'prepared.tmp')
    rig.disk.openProcess().open(prepared, { create: false }).writeSync(Buffer.from('left over'), 600)
    const again = rig.open()
    rig.settle()
    expect(rig.disk.contentOf(prepared)?.every(byte => byte === 0)).toBe(true)
    append(again, 1, 40, 400)
    rig.flush(again)
    rig.cutPower()
    expect(rig.open().log.lastId.index).toBe(60)
  })
})
