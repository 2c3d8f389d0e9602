/** The queue index and rot: which chunk is set aside, which is made anew from memory, what is given to others. */
import * as fs from 'node:fs'
import * as path from 'node:path'
import { expect, test } from 'vitest'
import { realDisk } from '../../src/platform/disk.ts'
import { openQueueIndex } from '../../src/storage/queue-index.ts'
import { rowBytes } from '../../src/storage/queue-rows.ts'
import { readSealedHead } from '../../src/storage/sealed-chunk.ts'
import { sealedFormat } from '../../src/storage/snapshot/given-formats.ts'
import { expectRows, fill, persist, queueIndexRig, settle, slotOf, smallChunks } from './queue-index-rig.ts'

const rig = queueIndexRig()

test('a rotten header of a sealed chunk is damage, a rotten block of rows stops the reader with a sentence', async () => {
  const first = rig.open(0)
  await fill(first, 0, 3_000, 100)
  await settle(first, 3_000)
  first.close()
  const file = path.join(rig.directory, '000000000001.sealed')
  const bytes = fs.readFileSync(file)
  const rotten = Buffer.from(bytes)
  rotten.writeUInt8(rotten.readUInt8(4_096) ^ 1, 4_096)
  fs.writeFileSync(file, rotten)
  const second = rig.open(3_000)
  expect(() => second.read(1, 0, 0)).toThrow(/000000000001\.sealed: the block of rows at byte 4096 fails its checksum/)
  second.close()
  for (const position of [3, 20, 70, 100, 140]) {
    const head = Buffer.from(bytes)
    head.writeUInt8(head.readUInt8(position) ^ 0x10, position)
    fs.writeFileSync(file, head)
    expect(openQueueIndex(realDisk, rig.directory, { appliedIndex: 3_000 }).kind).toBe('damaged')
  }
})

test('a scrub reads every block of the sealed chunks once, past the cache, and then none', async () => {
  const index = rig.open(0)
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
  const first = rig.open(0)
  await fill(first, 0, 3_000, 100)
  await settle(first, 3_000)
  first.close()
  const told: Error[] = []
  const opened = openQueueIndex(realDisk, rig.directory, { appliedIndex: 3_000, limits: smallChunks, rotFound: error => told.push(error) })
  if (opened.kind === 'damaged') throw new Error(opened.reason)
  const file = path.join(rig.directory, '000000000001.sealed')
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

test('an open chunk whose file has rotted is sealed from memory, at once when all of it is in a checkpoint', async () => {
  const index = rig.open(0)
  await fill(index, 0, 200, 50)
  rig.spoil('000000000001.open')
  index.renew(200)
  await new Promise(resolve => setTimeout(resolve, 50))
  expect(rig.names()).toEqual(['000000000001.sealed'])
  expectRows(index, 0, 200)
  await fill(index, 200, 300, 50)
  index.close()
  const again = rig.open(300)
  expectRows(again, 0, 300)
  again.close()
})

test('an open chunk whose file has rotted and that has rows without a checkpoint is sealed with the next one', async () => {
  const index = rig.open(0)
  await fill(index, 0, 200, 50)
  index.append(1, 0, 67, slotOf(201))
  rig.spoil('000000000001.open')
  index.renew(200)
  expect(rig.names()).toEqual(['000000000001.open'])
  await persist(index, 203)
  await settle(index, 203)
  expect(rig.names()).toEqual(['000000000001.sealed', '000000000002.open'])
  index.close()
  const again = rig.open(203)
  expectRows(again, 0, 200)
  expect(again.read(1, 0, 67)).toEqual(slotOf(201))
  again.close()
})

test('a chunk whose file has rotted and that has ended since is sealed without another checkpoint (seed 30004487)', async () => {
  const index = rig.open(0)
  await fill(index, 0, 200, 50)
  rig.spoil('000000000001.open')
  index.append(1, 0, 67, slotOf(201))
  index.renew(200)
  await persist(index, 203)
  expect(rig.names()).toEqual(['000000000001.open'])
  index.renew(202)
  expect(rig.names()).toEqual(['000000000001.open'])
  index.renew(203)
  await expect.poll(rig.names).toEqual(['000000000001.sealed'])
  expectRows(index, 0, 200)
  expect(index.read(1, 0, 67)).toEqual(slotOf(201))
  index.close()
})

test('rot that is met while rows are being written: the chunk does not end before them', async () => {
  const index = rig.open(0)
  await fill(index, 0, 200, 50)
  index.append(1, 0, 67, slotOf(201))
  rig.spoil('000000000001.open')
  const written = persist(index, 203)
  index.renew(200)
  await written
  expect(rig.names()).toEqual(['000000000001.open'])
  index.renew(203)
  await expect.poll(rig.names).toEqual(['000000000001.sealed'])
  index.close()
  const again = rig.open(203)
  expectRows(again, 0, 200)
  expect(again.read(1, 0, 67)).toEqual(slotOf(201))
  again.close()
})

test('a sealed chunk proves itself block by block while it is given away, also one without rows; rot is told, and nothing of it is given', async () => {
  const index = rig.open(0, { ...smallChunks, chunkRowsMax: 900 })
  await fill(index, 0, 900, 50)
  await settle(index, 900)
  index.renew(900)
  await persist(index, 1_000)
  index.renew(1_000)
  await settle(index, 1_000)
  const given = (name: string): (readonly [number, boolean])[] => {
    const file = realDisk.open(path.join(rig.directory, name), { create: false })
    const format = sealedFormat(readSealedHead(realDisk, path.join(rig.directory, name)), index)
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
  rig.spoil('000000000001.sealed', 4_096 + 600 * rowBytes)
  expect(given('000000000001.sealed').map(([, isWhole]) => isWhole)).toEqual([true, true, false])
  expect(rig.names()).not.toContain('000000000001.sealed')
  index.close()
})
