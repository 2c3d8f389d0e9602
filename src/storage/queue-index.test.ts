import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { realDisk } from '../platform/disk.ts'
import { encodeBlockHeader, encodeOpenHeader, openRowBytes, parseOpenChunk } from './open-chunk.ts'
import { openQueueIndex } from './queue-index.ts'
import type { QueueIndexFiles, QueueIndexLimits } from './queue-index.ts'
import { rowBytes, writeRow } from './queue-rows.ts'
import type { RowSlot } from './queue-rows.ts'
import { encodeSealedHead, readSealedHead } from './sealed-chunk.ts'
import { sealedFormat } from './snapshot/given-formats.ts'

let directory = ''
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'queue-index-'))
})
afterEach(() => {
  fs.rmSync(directory, { recursive: true, force: true })
})

const smallChunks: Partial<QueueIndexLimits> = { chunkRowsMax: 1_000, cacheBytesMax: 64 * 1024, openFilesMax: 2 }

function slotOf(n: number): RowSlot {
  return {
    logIndex: n * 7 + 1,
    ordinal: n % 32,
    tagHash: (n * 2_654_435_761) >>> 0,
    messageGroup: n % 3 === 0 ? { low: 0, high: 0 } : { low: n >>> 0, high: 0xffff_ffff - n },
    storedAtMs: 1_790_000_000_000 + n,
    queueKiB: (n * 3) >>> 0,
  }
}

function open(appliedIndex: number, limits: Partial<QueueIndexLimits> = smallChunks): QueueIndexFiles {
  const opened = openQueueIndex(realDisk, directory, { appliedIndex, limits })
  if (opened.kind === 'damaged') throw new Error(opened.reason)
  return opened.index
}

function persist(index: QueueIndexFiles, throughIndex: number, logBytes = 0): Promise<void> {
  return new Promise((resolve, reject) => {
    index.persist({ throughIndex, logBytes }, error => (error === undefined ? resolve() : reject(error)))
  })
}

/** Persists nothing new until nothing is left to be sealed, as later checkpoints would. */
async function settle(index: QueueIndexFiles, throughIndex: number): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await persist(index, throughIndex)
    await new Promise(resolve => setImmediate(resolve))
  }
}

const queues = [
  { topicId: 1, queueId: 0 },
  { topicId: 1, queueId: 3 },
  { topicId: 9, queueId: 1 },
]

/** Appends `count` rows round robin over three queues, with a checkpoint after each `step`; row n is slotOf(n) at offset ⌊n / 3⌋. */
async function fill(index: QueueIndexFiles, from: number, to: number, step: number): Promise<void> {
  for (let n = from; n < to; n++) {
    const queue = queues[n % 3]
    if (queue !== undefined) index.append(queue.topicId, queue.queueId, Math.floor(n / 3), slotOf(n))
    if ((n + 1) % step === 0) await persist(index, n + 1)
  }
}

function expectRows(index: QueueIndexFiles, from: number, to: number): void {
  for (let n = from; n < to; n++) {
    const queue = queues[n % 3]
    if (queue !== undefined) expect(index.read(queue.topicId, queue.queueId, Math.floor(n / 3))).toEqual(slotOf(n))
  }
}

function names(): string[] {
  return fs.readdirSync(directory).sort()
}

test('rows are read back from the open, the frozen and the sealed chunks', async () => {
  const index = open(0)
  await fill(index, 0, 5_000, 100)
  await settle(index, 5_000)
  expect(index.status().sealedChunks).toBeGreaterThanOrEqual(4)
  expect(index.status().memoryRows).toBeLessThan(2_000)
  expectRows(index, 0, 5_000)
  index.close()
})

test('after a restart at the last checkpoint everything is there and the next offsets follow', async () => {
  const first = open(0)
  await fill(first, 0, 4_321, 10)
  await persist(first, 4_321)
  first.close()
  const second = open(4_321)
  expectRows(second, 0, 4_321)
  await fill(second, 4_321, 6_000, 50)
  expectRows(second, 0, 6_000)
  expect(() => second.append(1, 0, 5, slotOf(5))).toThrow('queue-index-gap')
  second.close()
})

test('rows behind the checkpoint are cut off and written again', async () => {
  const first = open(0)
  await fill(first, 0, 600, 100)
  first.close()
  const second = open(500)
  expectRows(second, 0, 500)
  expect(() => second.read(1, 0, 170)).toThrow('row-above')
  await fill(second, 500, 700, 100)
  second.close()
  expectRows(open(700), 0, 700)
})

test('a chunk is frozen when it covers much log, however few its rows', async () => {
  const index = open(0, { chunkLogBytes: 1_000 })
  for (let n = 0; n < 10; n++) {
    index.append(1, 0, n, slotOf(n))
    await persist(index, n + 1, 400)
  }
  await settle(index, 10)
  expect(index.status().sealedChunks).toBe(3)
  index.close()
})

test('without a checkpoint the index begins anew', async () => {
  const first = open(0)
  await fill(first, 0, 3_000, 100)
  first.close()
  const second = open(0)
  expect(names()).toEqual([])
  second.append(1, 0, 0, slotOf(1))
  expect(second.read(1, 0, 0)).toEqual(slotOf(1))
  second.close()
})

test('a torn block behind the checkpoint is cut, one below it is damage', async () => {
  const first = open(0)
  await fill(first, 0, 300, 100)
  first.close()
  const file = path.join(directory, '000000000001.open')
  fs.truncateSync(file, fs.statSync(file).size - 1)
  expect(openQueueIndex(realDisk, directory, { appliedIndex: 300 })).toMatchObject({
    kind: 'damaged',
    reason: expect.stringContaining('it reaches entry 200, the checkpoint says 300') as string,
  })
  expectRows(open(200), 0, 200)
})

test('a block that does not follow its predecessor ends the file, however whole it is', () => {
  const header = encodeOpenHeader(1, 0)
  const prevCrc = Buffer.from(header).readUInt32LE(24)
  const first = encodeBlockHeader({ throughIndex: 5, logBytes: 0 }, prevCrc, new Uint8Array(0))
  const second = encodeBlockHeader({ throughIndex: 6, logBytes: 0 }, Buffer.from(first).readUInt32LE(32), new Uint8Array(0))
  const stale = encodeBlockHeader({ throughIndex: 6, logBytes: 0 }, 0x1234_5678, new Uint8Array(0))
  expect(parseOpenChunk(Buffer.concat([header, first, second]), 9)?.mark.throughIndex).toBe(6)
  expect(parseOpenChunk(Buffer.concat([header, first, stale]), 9)?.mark.throughIndex).toBe(5)
  expect(parseOpenChunk(Buffer.concat([header, first, second]), 5)?.mark.throughIndex).toBe(5)
})

test('a rotten header of a sealed chunk is damage, a rotten block of rows stops the reader with a sentence', async () => {
  const first = open(0)
  await fill(first, 0, 3_000, 100)
  await settle(first, 3_000)
  first.close()
  const file = path.join(directory, '000000000001.sealed')
  const bytes = fs.readFileSync(file)
  const rotten = Buffer.from(bytes)
  rotten.writeUInt8(rotten.readUInt8(4_096) ^ 1, 4_096)
  fs.writeFileSync(file, rotten)
  const second = open(3_000)
  expect(() => second.read(1, 0, 0)).toThrow(/000000000001\.sealed: the block of rows at byte 4096 fails its checksum/)
  second.close()
  for (const position of [3, 20, 70, 100, 140]) {
    const head = Buffer.from(bytes)
    head.writeUInt8(head.readUInt8(position) ^ 0x10, position)
    fs.writeFileSync(file, head)
    expect(openQueueIndex(realDisk, directory, { appliedIndex: 3_000 }).kind).toBe('damaged')
  }
})

test('a scrub reads every block of the sealed chunks once, past the cache, and then none', async () => {
  const index = open(0)
  await fill(index, 0, 4_000, 100)
  await settle(index, 4_000)
  const places: string[] = []
  let bytes = 0
  for (let read = index.scrubBlock(); read !== undefined; read = index.scrubBlock(read.next)) {
    places.push(`${read.next.chunk}/${read.next.block}`)
    bytes += read.bytes
  }
  const sealed = index.files().filter(({ isSealed }) => isSealed)
  expect(new Set(places.map(place => place.split('/')[0])).size).toBe(sealed.length)
  expect(new Set(places).size).toBe(places.length)
  expect(bytes % rowBytes).toBe(0)
  index.close()
  expect(index.scrubBlock()).toBeUndefined()
})

test.each([
  ['a block of rows', 4_096, /000000000001\.sealed: the block of rows at byte 4096 fails its checksum/],
  ['its head', 20, /000000000001\.sealed: its header fails its checksum/],
])('a scrub that finds rot in %s tells it, sets the chunk aside, and reads no further', async (_, position, sentence) => {
  const first = open(0)
  await fill(first, 0, 3_000, 100)
  await settle(first, 3_000)
  first.close()
  const told: Error[] = []
  const opened = openQueueIndex(realDisk, directory, { appliedIndex: 3_000, limits: smallChunks, rotFound: error => told.push(error) })
  if (opened.kind === 'damaged') throw new Error(opened.reason)
  const file = path.join(directory, '000000000001.sealed')
  const bytes = fs.readFileSync(file)
  bytes.writeUInt8(bytes.readUInt8(position) ^ 1, position)
  fs.writeFileSync(file, bytes)
  let reads = 0
  for (let read = opened.index.scrubBlock(); read !== undefined; read = opened.index.scrubBlock(read.next)) reads++
  expect(reads).toBe(0)
  expect(told.map(error => error.message)).toEqual([expect.stringMatching(sentence)])
  expect(fs.existsSync(file)).toBe(false)
  opened.index.close()
})

test('a chunk that is missing is damage', async () => {
  const first = open(0)
  await fill(first, 0, 4_000, 100)
  await settle(first, 4_000)
  first.close()
  fs.rmSync(path.join(directory, '000000000002.sealed'))
  expect(openQueueIndex(realDisk, directory, { appliedIndex: 4_000 })).toMatchObject({ kind: 'damaged' })
})

test('a crash while sealing loses nothing, whatever it left behind', async () => {
  const first = open(0)
  await fill(first, 0, 1_000, 100)
  first.close()
  fs.copyFileSync(path.join(directory, '000000000001.open'), path.join(directory, 'kept'))
  fs.writeFileSync(path.join(directory, '000000000001.sealed.new'), 'half of it')
  const second = open(1_000)
  expect(names()).toEqual(['000000000001.open', 'kept'])
  await settle(second, 1_000)
  second.close()
  expect(names()).toContain('000000000001.sealed')
  // The open file came back: its removal was not durable.
  fs.copyFileSync(path.join(directory, 'kept'), path.join(directory, '000000000001.open'))
  const third = open(1_000)
  expect(names()).not.toContain('000000000001.open')
  expectRows(third, 0, 1_000)
  third.close()
})

test('a dropped topic is readable until its drop is in a saved checkpoint, and is gone after', async () => {
  const first = open(0)
  await fill(first, 0, 300, 100)
  first.dropTopic(9)
  await persist(first, 400)
  expect(first.read(9, 1, 0)).toEqual(slotOf(2))
  first.close()
  const second = open(400)
  expect(() => second.read(9, 1, 0)).toThrow('queue-index-no-queue')
  expect(second.read(1, 3, 0)).toEqual(slotOf(1))
  await persist(second, 400)
  second.close()
})

test('after a write error every later persist fails with it', async () => {
  const index = open(0)
  await fill(index, 0, 10, 10)
  fs.rmSync(directory, { recursive: true })
  fs.writeFileSync(directory, 'a file stands where the directory was')
  // The open descriptor still works; the next chunk cannot be created.
  await expect(
    (async () => {
      for (let n = 10; n < 3_000; n += 500) {
        for (let i = n; i < n + 500; i++) index.append(2, 0, i - 10, slotOf(i))
        await persist(index, n + 500)
      }
    })(),
  ).rejects.toThrow(/could not be written .*; this node goes silent and stops/)
  await expect(persist(index, 9_999)).rejects.toThrow(/could not be written/)
  index.close()
})

test('it agrees with a map, whatever is appended, persisted and restarted', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), queue: fc.nat(4), count: fc.integer({ min: 1, max: 40 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('checkpoint' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), isSaved: fc.boolean() }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      fs.rmSync(directory, { recursive: true, force: true })
      let applied = 0
      let saved = { applied: 0, rows: new Map<string, RowSlot>() }
      let rows = new Map<string, RowSlot>()
      const limits = { ...smallChunks, chunkRowsMax: 100 }
      let index = open(0, limits)
      const check = (): void => {
        for (const [key, slot] of rows) {
          const [queue = 0, offset = 0] = key.split('/').map(Number)
          expect(index.read(queue, queue, offset)).toEqual(slot)
        }
      }
      for (const action of steps) {
        if (action.kind === 'append') {
          for (let i = 0; i < action.count; i++) {
            let offset = 0
            while (rows.has(`${action.queue}/${offset}`)) offset++
            applied++
            rows.set(`${action.queue}/${offset}`, slotOf(applied))
            index.append(action.queue, action.queue, offset, slotOf(applied))
          }
        } else {
          await persist(index, applied)
          if (action.kind === 'checkpoint' || action.isSaved) saved = { applied, rows: new Map(rows) }
          if (action.kind === 'restart') {
            await new Promise(resolve => setImmediate(resolve))
            index.close()
            index = open(saved.applied, limits)
            applied = saved.applied
            rows = new Map(saved.rows)
          }
        }
        check()
      }
      index.close()
    }),
    { numRuns: 40, seed: 20_261_121 },
  )
})

test('the bytes on disk are as the tables say', () => {
  const row = new Uint8Array(rowBytes)
  writeRow(new DataView(row.buffer), 0, {
    logIndex: 0x1_0000_0002,
    ordinal: 5,
    tagHash: 0xa1b2_c3d4,
    messageGroup: { low: 0x0102_0304, high: 0x0506_0708 },
    storedAtMs: 1_790_000_000_000,
    queueKiB: 6,
  })
  const openRow = new Uint8Array(openRowBytes)
  openRow.set([7, 0, 0, 0, 3, 0, 0, 0, 9], 0)
  openRow.set(row, 16)
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  expect({
    row: hex(row),
    openHeader: hex(encodeOpenHeader(4, 17)),
    blockHeader: hex(encodeBlockHeader({ throughIndex: 42, logBytes: 4_096 }, 0xdead_beef, openRow)),
    sealedHead: hex(
      encodeSealedHead({
        chunk: 4,
        afterIndex: 17,
        mark: { throughIndex: 42, logBytes: 4_096 },
        rowCount: 1,
        queues: [{ topicId: 7, queueId: 3, firstOffset: 9, rowCount: 1, rowStart: 0 }],
        blockCrcs: Uint32Array.of(0x1234_5678),
      }).subarray(0, 96),
    ),
  }).toMatchInlineSnapshot(`
    {
      "blockHeader": "524d5142010000002a000000000000000010000000000000efbeadde8c3126d233c237fa00000000",
      "openHeader": "524d514f02000000040000000000000011000000000000009da3a0d200000000",
      "row": "0200000001000000006c50c4a0010500d4c3b2a1060000000403020108070605",
      "sealedHead": "524d515302000000040000000000000011000000000000002a0000000000000001000000010000006e7d31c6f31d13b20010000000000000ec88a65a000000000700000003000000090000000000000001000000000000007856341200000000",
    }
  `)
})

test('retention removes the oldest chunks for good, and what is left is read as before', async () => {
  const index = open(0)
  await fill(index, 0, 6_000, 1_200)
  await settle(index, 6_000)
  expect(index.status().sealedChunks).toBeGreaterThanOrEqual(3)
  expect(index.afterIndex).toBe(0)
  index.trimTo(1_000)
  expect(index.afterIndex).toBe(0)
  index.trimTo(4_000)
  const { afterIndex } = index
  expect(afterIndex).toBeGreaterThan(0)
  expect(afterIndex).toBeLessThan(4_000)
  // The files go one after the other, in the background: a reopening before the last one went would still find it.
  const { sealedChunks } = index.status()
  await expect.poll(() => names().filter(name => name.endsWith('.sealed')).length).toBe(sealedChunks)
  expect(() => index.read(1, 0, 0)).toThrow(/queue-index-below/)
  expectRows(index, afterIndex, 6_000)
  index.close()
  const again = open(6_000)
  expect(again.afterIndex).toBe(afterIndex)
  expectRows(again, afterIndex, 6_000)
  again.close()
})

test('an open chunk whose file has rotted is sealed from memory, at once when all of it is in a checkpoint', async () => {
  const index = open(0)
  await fill(index, 0, 200, 50)
  spoil('000000000001.open')
  index.renew(200)
  await new Promise(resolve => setTimeout(resolve, 50))
  expect(names()).toEqual(['000000000001.sealed'])
  expectRows(index, 0, 200)
  await fill(index, 200, 300, 50)
  index.close()
  const again = open(300)
  expectRows(again, 0, 300)
  again.close()
})

test('an open chunk whose file has rotted and that has rows without a checkpoint is sealed with the next one', async () => {
  const index = open(0)
  await fill(index, 0, 200, 50)
  index.append(1, 0, 67, slotOf(201))
  spoil('000000000001.open')
  index.renew(200)
  expect(names()).toEqual(['000000000001.open'])
  await persist(index, 203)
  await settle(index, 203)
  expect(names()).toEqual(['000000000001.sealed', '000000000002.open'])
  index.close()
  const again = open(203)
  expectRows(again, 0, 200)
  expect(again.read(1, 0, 67)).toEqual(slotOf(201))
  again.close()
})

test('a chunk whose file has rotted and that has ended since is sealed without another checkpoint (seed 30004487)', async () => {
  const index = open(0)
  await fill(index, 0, 200, 50)
  spoil('000000000001.open')
  index.append(1, 0, 67, slotOf(201))
  index.renew(200)
  await persist(index, 203)
  expect(names()).toEqual(['000000000001.open'])
  index.renew(202)
  expect(names()).toEqual(['000000000001.open'])
  index.renew(203)
  await expect.poll(names).toEqual(['000000000001.sealed'])
  expectRows(index, 0, 200)
  expect(index.read(1, 0, 67)).toEqual(slotOf(201))
  index.close()
})

test('a sealed chunk proves itself block by block while it is given away, also one without rows; rot is told, and nothing of it is given', async () => {
  const index = open(0, { ...smallChunks, chunkRowsMax: 900 })
  await fill(index, 0, 900, 50)
  await settle(index, 900)
  index.renew(900)
  await persist(index, 1_000)
  index.renew(1_000)
  await settle(index, 1_000)
  const given = (name: string): (readonly [number, boolean])[] => {
    const file = realDisk.open(path.join(directory, name), { create: false })
    const format = sealedFormat(readSealedHead(realDisk, path.join(directory, name)), index)
    const size = file.sizeBytes()
    const blocks: (readonly [number, boolean])[] = []
    for (let begin = 0; begin < size;) {
      const end = format.blockEnd(file, begin, size) ?? size
      blocks.push([end, format.isBlockWhole(file, begin, end)])
      begin = end
    }
    file.close()
    return blocks
  }
  expect(given('000000000001.sealed')).toEqual([
    [4_096, true],
    [4_096 + 512 * rowBytes, true],
    [4_096 + 900 * rowBytes, true],
  ])
  expect(given('000000000002.sealed')).toEqual([[4_096, true]])
  spoil('000000000001.sealed', 4_096 + 600 * rowBytes)
  expect(given('000000000001.sealed').map(([, isWhole]) => isWhole)).toEqual([true, true, false])
  expect(names()).not.toContain('000000000001.sealed')
  index.close()
})

function spoil(name: string, position = 100): void {
  const file = path.join(directory, name)
  const bytes = fs.readFileSync(file)
  bytes[position] = (bytes[position] ?? 0) ^ 4
  const handle = fs.openSync(file, 'r+')
  fs.writeSync(handle, bytes, 0, bytes.length, 0)
  fs.closeSync(handle)
}
