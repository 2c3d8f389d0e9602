import * as fs from 'node:fs'
import * as path from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { realDisk } from '../../src/platform/disk.ts'
import { encodeBlockHeader, encodeOpenHeader, openRowBytes, parseOpenChunk } from '../../src/storage/open-chunk.ts'
import { openQueueIndex } from '../../src/storage/queue-index.ts'
import { rowBytes, writeRow } from '../../src/storage/queue-rows.ts'
import type { RowSlot } from '../../src/storage/queue-rows.ts'
import { encodeSealedHead } from '../../src/storage/sealed-chunk.ts'
import { expectRows, fill, persist, queueIndexRig, sealed, settle, slotOf, smallChunks } from './queue-index-rig.ts'

const rig = queueIndexRig()

test('rows are read back from the open, the frozen and the sealed chunks', async () => {
  const index = rig.open(0)
  await fill(index, 0, 5_000, 100)
  await settle(index, 5_000)
  expect(index.status().sealedChunks).toBeGreaterThanOrEqual(4)
  expect(index.status().memoryRows).toBeLessThan(2_000)
  expectRows(index, 0, 5_000)
  index.close()
})

test('after a restart at the last checkpoint everything is there and the next offsets follow', async () => {
  const first = rig.open(0)
  await fill(first, 0, 4_321, 10)
  await persist(first, 4_321)
  first.close()
  const second = rig.open(4_321)
  expectRows(second, 0, 4_321)
  await fill(second, 4_321, 6_000, 50)
  expectRows(second, 0, 6_000)
  expect(() => second.append(1, 0, 5, slotOf(5))).toThrow('queue-index-gap')
  second.close()
})

test('rows behind the checkpoint are cut off and written again', async () => {
  const first = rig.open(0)
  await fill(first, 0, 600, 100)
  first.close()
  const second = rig.open(500)
  expectRows(second, 0, 500)
  expect(() => second.read(1, 0, 170)).toThrow('row-above')
  await fill(second, 500, 700, 100)
  second.close()
  expectRows(rig.open(700), 0, 700)
})

test('a chunk is frozen when it covers much log, however few its rows', async () => {
  const index = rig.open(0, { chunkLogBytes: 1_000 })
  for (let n = 0; n < 10; n++) {
    index.append(1, 0, n, slotOf(n))
    await persist(index, n + 1, 400)
  }
  await settle(index, 10)
  expect(index.status().sealedChunks).toBe(3)
  index.close()
})

test('without a checkpoint the index begins anew', async () => {
  const first = rig.open(0)
  await fill(first, 0, 3_000, 100)
  first.close()
  const second = rig.open(0)
  expect(rig.names()).toEqual([])
  second.append(1, 0, 0, slotOf(1))
  expect(second.read(1, 0, 0)).toEqual(slotOf(1))
  second.close()
})

test('a torn block behind the checkpoint is cut, one below it is damage', async () => {
  const first = rig.open(0)
  await fill(first, 0, 300, 100)
  first.close()
  const file = path.join(rig.directory, '000000000001.open')
  fs.truncateSync(file, fs.statSync(file).size - 1)
  expect(openQueueIndex(realDisk, rig.directory, { appliedIndex: 300 })).toMatchObject({
    kind: 'damaged',
    reason: expect.stringContaining('it reaches entry 200, the checkpoint says 300') as string,
  })
  expectRows(rig.open(200), 0, 200)
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

test('a chunk that is missing is damage', async () => {
  const first = rig.open(0)
  await fill(first, 0, 4_000, 100)
  await settle(first, 4_000)
  first.close()
  fs.rmSync(path.join(rig.directory, '000000000002.sealed'))
  expect(openQueueIndex(realDisk, rig.directory, { appliedIndex: 4_000 })).toMatchObject({ kind: 'damaged' })
})

test('a crash while sealing loses nothing, whatever it left behind', async () => {
  const first = rig.open(0)
  await fill(first, 0, 1_000, 100)
  first.close()
  fs.copyFileSync(path.join(rig.directory, '000000000001.open'), path.join(rig.directory, 'kept'))
  fs.writeFileSync(path.join(rig.directory, '000000000001.sealed.new'), 'half of it')
  const second = rig.open(1_000)
  expect(rig.names()).toEqual(['000000000001.open', 'kept'])
  await settle(second, 1_000)
  second.close()
  expect(rig.names()).toContain('000000000001.sealed')
  // The open file came back: its removal was not durable.
  fs.copyFileSync(path.join(rig.directory, 'kept'), path.join(rig.directory, '000000000001.open'))
  const third = rig.open(1_000)
  expect(rig.names()).not.toContain('000000000001.open')
  expectRows(third, 0, 1_000)
  third.close()
})

test('a dropped topic is readable until its drop is in a saved checkpoint, and is gone after', async () => {
  const first = rig.open(0)
  await fill(first, 0, 300, 100)
  first.dropTopic(9)
  await persist(first, 400)
  expect(first.read(9, 1, 0)).toEqual(slotOf(2))
  first.close()
  const second = rig.open(400)
  expect(() => second.read(9, 1, 0)).toThrow('queue-index-no-queue')
  expect(second.read(1, 3, 0)).toEqual(slotOf(1))
  await persist(second, 400)
  second.close()
})

test('after a write error every later persist fails with it', async () => {
  const index = rig.open(0)
  await fill(index, 0, 10, 10)
  fs.rmSync(rig.directory, { recursive: true })
  fs.writeFileSync(rig.directory, 'a file stands where the directory was')
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
      fs.rmSync(rig.directory, { recursive: true, force: true })
      let applied = 0
      let saved = { applied: 0, rows: new Map<string, RowSlot>() }
      let rows = new Map<string, RowSlot>()
      const limits = { ...smallChunks, chunkRowsMax: 100 }
      let index = rig.open(0, limits)
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
            index = rig.open(saved.applied, limits)
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
  const index = rig.open(0)
  for (let chunk = 1; chunk <= 4; chunk++) {
    await fill(index, (chunk - 1) * 1_200, chunk * 1_200, 1_200)
    await sealed(index, chunk * 1_200, chunk)
  }
  await fill(index, 4_800, 6_000, 1_200)
  expect(index.afterIndex).toBe(0)
  // The first chunk ends with entry 1200, and goes when that is not needed any more.
  index.trimTo(1_200)
  expect(index.afterIndex).toBe(0)
  index.trimTo(1_201)
  expect(index.afterIndex).toBe(1_200)
  index.trimTo(4_000)
  const { afterIndex } = index
  expect(afterIndex).toBe(3_600)
  // The files go one after the other, in the background: a reopening before the last one went would still find it.
  const { sealedChunks } = index.status()
  await expect.poll(() => rig.names().filter(name => name.endsWith('.sealed')).length).toBe(sealedChunks)
  expect(() => index.read(1, 0, 0)).toThrow(/queue-index-below/)
  expectRows(index, afterIndex, 6_000)
  index.close()
  const again = rig.open(6_000)
  expect(again.afterIndex).toBe(afterIndex)
  expectRows(again, afterIndex, 6_000)
  again.close()
})
