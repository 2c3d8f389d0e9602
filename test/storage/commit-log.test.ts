import { describe, expect, it } from 'vitest'
import type { LogIndex, RecordBlock } from '../../raft/index.ts'
import { originId } from '../../raft/index.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { pointSpacingBytes } from '../../src/storage/segment.ts'
import { append, bodyOf, entryBody, StorageRig, rigLimits } from './rig.ts'

function index(n: number): LogIndex {
  return n as LogIndex
}

function expectEntry(opened: OpenedLog, n: number, term: number, bytes: number): void {
  const entry = opened.log.entry(index(n))
  expect({ ...entry, body: Buffer.from(entry.body).toString() }).toEqual({
    index: n,
    term,
    kind: 1,
    wallMs: 1_000 + n,
    body: Buffer.from(bodyOf(term, n, bytes)).toString(),
  })
}

function bytesOf(block: RecordBlock | undefined): Buffer {
  return Buffer.concat(block?.buffers ?? [])
}

function logFiles(rig: StorageRig, suffix = '.log'): readonly string[] {
  return rig.disk.files().filter(path => path.endsWith(suffix))
}

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
    opened.log.appendOwn({ term: 1 as never, firstIndex: index(1), kind: 2, wallMs: 5 }, bodies)
    append(opened, 1, 2, 10)
    rig.flush(opened)
    rig.cutPower()
    const { log } = rig.open()
    expect(Buffer.from(log.entry(index(1)).body).toString()).toBe('one and two')
    expect(log.entry(index(2))).toMatchObject({ kind: 2, wallMs: 5, body: new Uint8Array(0) })
    expect(Buffer.from(log.entry(index(3)).body).equals(large)).toBe(true)
    expect(log.lastId.index).toBe(5)
    expect(logFiles(rig)).toHaveLength(3)
  })

  it('does not look at a body after it was appended', () => {
    const rig = new StorageRig(3)
    const opened = rig.open()
    const body = Buffer.from('as it was')
    opened.log.appendOwn({ term: 1 as never, firstIndex: index(1), kind: 1, wallMs: 5 }, [entryBody(body)])
    body.fill(0)
    rig.flush(opened)
    expect(Buffer.from(opened.log.entry(index(1)).body).toString()).toBe('as it was')
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
    const block = opened.log.readBlock(index(1), index(40), 3_000)
    const written = Buffer.from(leader.disk.contentOf(file) ?? []).subarray(512, 512 + (block?.bytes ?? 0))
    expect(bytesOf(block).equals(written)).toBe(true)
  })

  it('cuts blocks at whole records, near the bound, with at least one', () => {
    const rig = new StorageRig(7)
    const opened = rig.open()
    append(opened, 1, 30, 152)
    append(opened, 3, 30, 152)
    const { log } = opened
    expect(log.readBlock(index(1), index(60), 1)).toMatchObject({ prev: originId, lastIndex: 1, bytes: 200, lastWallMs: 1_001 })
    expect(log.readBlock(index(29), index(60), 900)).toMatchObject({
      prev: { term: 1, index: 28 },
      lastIndex: 32,
      runs: [
        { firstIndex: 29, term: 1 },
        { firstIndex: 31, term: 3 },
      ],
    })
    expect(log.readBlock(index(59), index(59), 100_000)).toMatchObject({ lastIndex: 59, bytes: 200 })
    expect(log.readBlock(index(59), index(99), 100_000)).toMatchObject({ lastIndex: 60, bytes: 400 })
    expect(log.readBlock(index(61), index(99), 1_000)).toBeUndefined()
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
      const block = leader.log.readBlock(index(next), index(100), 1_700)
      const checked = follower.log.checkBlock(block?.prev ?? originId, bytesOf(block))
      if (checked.kind !== 'ok') throw new Error(checked.problem)
      expect(checked.block).toMatchObject({
        prev: block?.prev,
        lastIndex: block?.lastIndex,
        runs: block?.runs,
        lastWallMs: block?.lastWallMs,
      })
      follower.log.appendBlock(checked.block, index(next))
      followerRig.flush(follower)
    }
    followerRig.cutPower()
    const again = followerRig.open()
    const all = (opened: OpenedLog): Buffer => bytesOf(opened.log.readBlock(index(1), index(100), 1e6))
    expect(all(again).equals(all(leader))).toBe(true)
    expect(again.log.termRuns).toEqual(leader.log.termRuns)
  })

  it('takes only what it lacks of a block', () => {
    const leader = new StorageRig(9).open()
    append(leader, 1, 10, 100)
    const block = leader.log.readBlock(index(1), index(10), 1e6)
    const follower = new StorageRig('9f').open()
    const checked = follower.log.checkBlock(originId, bytesOf(block))
    if (checked.kind !== 'ok' || block === undefined) throw new Error('not taken')
    const firstFour = leader.log.readBlock(index(1), index(4), 1e6)
    if (firstFour === undefined) throw new Error('nothing')
    follower.log.appendBlock(firstFour, index(1))
    follower.log.appendBlock(checked.block, index(5))
    expect(bytesOf(follower.log.readBlock(index(1), index(10), 1e6)).equals(bytesOf(block))).toBe(true)
  })

  it('does not believe a block with any bit flipped or cut anywhere', () => {
    const leader = new StorageRig(10).open()
    append(leader, 1, 3, 20)
    const block = leader.log.readBlock(index(2), index(3), 1e6)
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
    const block = other.log.readBlock(index(2), index(2), 1e6)
    const checked = one.log.checkBlock({ term: 1, index: 1 } as typeof originId, bytesOf(block))
    expect(checked).toEqual({ kind: 'corrupt', problem: 'record 2, byte 0 of a block, does not fit the record before it' })
  })
})

describe('a truncation', () => {
  it('takes effect in memory at once and on disk with the next flush', () => {
    const rig = new StorageRig(20)
    const opened = rig.open()
    append(opened, 1, 20, 300)
    rig.flush(opened)
    opened.log.truncateFrom(index(5))
    expect(opened.log.lastId).toEqual({ term: 1, index: 4 })
    expect(opened.log.hasUnflushed).toBe(true)
    rig.kill()
    expect(rig.open().log.lastId.index).toBe(20)
    const again = rig.open()
    again.log.truncateFrom(index(5))
    rig.flush(again)
    rig.kill()
    expect(rig.open().log.lastId.index).toBe(4)
  })

  it('leaves what sockets and writes under way still look at', () => {
    const rig = new StorageRig(21)
    const opened = rig.open()
    append(opened, 1, 10, 100)
    const block = opened.log.readBlock(index(1), index(10), 1e6)
    const before = Buffer.from(bytesOf(block))
    opened.log.truncateFrom(index(3))
    append(opened, 2, 30, 100)
    expect(bytesOf(block).equals(before)).toBe(true)
  })

  it('goes back over several segments and removes their files, sidecars too', () => {
    const rig = new StorageRig(22)
    const opened = rig.open()
    append(opened, 1, 200, 400)
    rig.flush(opened)
    rig.settle()
    expect(logFiles(rig).length).toBeGreaterThan(4)
    expect(logFiles(rig, '.idx').length).toBeGreaterThan(3)
    opened.log.truncateFrom(index(10))
    append(opened, 2, 3, 50)
    rig.flush(opened)
    expect(logFiles(rig)).toHaveLength(1)
    expect(logFiles(rig, '.idx')).toHaveLength(0)
    rig.kill()
    const again = rig.open()
    expect(again.log.lastId).toEqual({ term: 2, index: 12 })
    expectEntry(again, 9, 1, 400)
    expectEntry(again, 10, 2, 50)
  })

  it('can take everything, and the log begins anew', () => {
    const rig = new StorageRig(23)
    const opened = rig.open()
    append(opened, 1, 100, 400)
    rig.flush(opened)
    opened.log.truncateFrom(index(1))
    expect(opened.log.lastId).toEqual(originId)
    rig.flush(opened)
    append(opened, 4, 3, 77)
    rig.flush(opened)
    rig.cutPower()
    const again = rig.open()
    expect(again.log.lastId).toEqual({ term: 4, index: 3 })
    expect(again.log.termRuns).toEqual([{ firstIndex: 1, term: 4 }])
  })

  it('exactly at the beginning of a segment goes back to the one before', () => {
    const rig = new StorageRig(24)
    const opened = rig.open()
    append(opened, 1, 100, 400)
    rig.flush(opened)
    const second = Number(/(\d+)\.log$/.exec(logFiles(rig)[1] ?? '')?.[1])
    opened.log.truncateFrom(index(second))
    append(opened, 2, 5, 400)
    rig.flush(opened)
    rig.cutPower()
    const again = rig.open()
    expect(again.log.lastId).toEqual({ term: 2, index: second + 4 })
    expectEntry(again, second - 1, 1, 400)
    expectEntry(again, second, 2, 400)
  })

  it.each([30, 2, 1])('takes an empty segment along that a crash in the middle of a roll has left (cut %i entries further back)', back => {
    const rig = new StorageRig(27, { ...rigLimits, unmarkedBytesMax: Infinity })
    const opened = rig.open()
    append(opened, 1, 35, 400)
    rig.flush(opened)
    append(opened, 1, 1, 400)
    opened.log.flush(() => undefined)
    while (logFiles(rig).length === 1) rig.scheduler.step()
    rig.kill()
    const again = rig.open()
    expect(again.log.lastId.index).toBe(35)
    expect(logFiles(rig)).toHaveLength(2)
    append(again, 2, 2, 100)
    again.log.truncateFrom(index(37 - back))
    append(again, 3, 1, 100)
    rig.flush(again)
    rig.kill()
    expect(rig.open().log.lastId).toEqual({ term: 3, index: 37 - back })
  })

  it('does not make a later start believe that the tail is torn, though old bytes lie behind the end', () => {
    const rig = new StorageRig(28)
    const opened = rig.open()
    opened.hardState.trustRestored('tail')
    append(opened, 1, 30, 200)
    rig.flush(opened)
    opened.log.truncateFrom(index(4))
    append(opened, 2, 2, 333)
    rig.flush(opened)
    append(opened, 2, 3, 77)
    rig.flush(opened)
    rig.kill()
    const again = rig.open()
    expect(again.recovered).toMatchObject({ last: { term: 2, index: 8 }, hasTornTail: false })
    append(again, 2, 1, 90)
    rig.flush(again)
    rig.kill()
    expect(rig.open().recovered).toMatchObject({ last: { term: 2, index: 9 }, hasTornTail: false })
  })

  it('of what was never flushed leaves no trace', () => {
    const rig = new StorageRig(25)
    const opened = rig.open()
    append(opened, 1, 5)
    rig.flush(opened)
    const { operations } = rig.disk
    append(opened, 1, 90, 400)
    opened.log.truncateFrom(index(6))
    expect(opened.log.hasUnflushed).toBe(false)
    rig.flush(opened)
    expect(rig.disk.operations).toBe(operations)
  })

  it('of what was flushed: what takes its place is written only when it has been flushed itself', () => {
    const rig = new StorageRig(27)
    const opened = rig.open()
    append(opened, 1, 10, 200)
    rig.flush(opened)
    opened.log.truncateFrom(index(4))
    append(opened, 2, 7, 200)
    expect(opened.log.status().writtenIndex).toBe(3)
    opened.log.noteDurable(index(10))
    rig.settle()
    expect(opened.hardState.mark).toBe(3)
    rig.flush(opened)
    expect(opened.log.status().writtenIndex).toBe(10)
  })

  it('while a flush is under way: the end of that flush does not vouch for the rewrite', () => {
    const rig = new StorageRig(26)
    const opened = rig.open()
    append(opened, 1, 10, 200)
    let isFlushed = false
    opened.log.flush(() => (isFlushed = true))
    opened.log.truncateFrom(index(4))
    append(opened, 2, 7, 200)
    rig.scheduler.runUntilTrue(() => isFlushed, 10_000)
    expect(opened.log.status().writtenIndex).toBe(3)
    expect(opened.log.hasUnflushed).toBe(true)
    opened.log.noteDurable(index(10))
    rig.settle()
    expect(opened.hardState.mark).toBe(3)
    rig.flush(opened)
    expect(opened.log.status().writtenIndex).toBe(10)
    rig.cutPower()
    expectEntry(rig.open(), 10, 2, 200)
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
      const bytes = log.bytesBehind(index(n))
      expect(bytes).toBeGreaterThanOrEqual((250 - n) * size)
      expect(bytes).toBeLessThanOrEqual((250 - n) * size + pointSpacingBytes)
    }
    expect(log.bytesBehind(index(249))).toBe(size)
    expect(log.bytesBehind(index(250))).toBe(0)
    expect(log.status().blockReads).toBe(blockReads)
    log.truncateFrom(index(241))
    expect(log.bytesBehind(index(230))).toBe(10 * size)
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
