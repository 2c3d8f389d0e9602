import { fork } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { Level } from 'level'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { realDisk } from '../platform/disk.ts'
import { encodeMarker, judgeStore, markerKey, rowKey } from './checkpoint-codec.ts'
import type { CheckpointRead, CheckpointWrite } from './checkpoint-codec.ts'
import { openRowThread } from './row-thread.ts'
import { openStateStore } from './state-store.ts'
import type { StateStore } from './state-store.ts'

let root = ''
let directory = ''
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'state-store-'))
  directory = path.join(root, 'state')
})
afterEach(() => {
  fs.rmSync(root, { recursive: true, force: true })
})

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (view: Uint8Array): string => new TextDecoder().decode(view)

function batch(number: number, puts: Record<string, string>, deletes: readonly string[] = []): CheckpointWrite {
  return {
    number,
    appliedIndex: number * 10,
    digest: { a: { low: number, high: 0xffff_ffff }, b: { low: 3, high: 4 } },
    puts: Object.entries(puts).map(([key, value]) => ({ key: bytes(key), value: bytes(value) })),
    deletes: deletes.map(bytes),
  }
}

function save(store: StateStore, write: CheckpointWrite): Promise<void> {
  return new Promise((resolve, reject) => {
    store.save(write, error => (error === undefined ? resolve() : reject(error)))
  })
}

function rowsOf(loaded: CheckpointRead | undefined): Record<string, string> {
  return Object.fromEntries((loaded?.rows ?? []).map(row => [text(row.key), text(row.value)]))
}

async function withThreeCheckpoints(): Promise<void> {
  const { store } = await openStateStore(realDisk, directory)
  await save(store, batch(1, { a: '1', b: '2' }))
  await save(store, batch(2, { a: '3', c: '' }, ['b']))
  await save(store, batch(3, { d: '4' }))
  await store.close()
}

async function openRaw<T>(use: (level: Level<Uint8Array, Uint8Array>) => Promise<T>): Promise<T> {
  const level = new Level<Uint8Array, Uint8Array>(directory, { keyEncoding: 'view', valueEncoding: 'view' })
  const result = await use(level)
  await level.close()
  return result
}

test('an empty store holds no checkpoint', async () => {
  const { store, loaded, problem } = await openStateStore(realDisk, directory)
  expect(loaded).toBeUndefined()
  expect(problem).toBeUndefined()
  await store.close()
})

test('the last checkpoint comes back whole: rows, numbers and digest', async () => {
  await withThreeCheckpoints()
  const { store, loaded } = await openStateStore(realDisk, directory)
  expect(rowsOf(loaded)).toEqual({ a: '3', c: '', d: '4' })
  expect(loaded).toMatchObject({ number: 3, appliedIndex: 30, digest: { a: { low: 3, high: 0xffff_ffff }, b: { low: 3, high: 4 } } })
  await save(store, batch(4, {}))
  await store.close()
})

test('a large checkpoint is written in slices and comes back whole', async () => {
  const { store } = await openStateStore(realDisk, directory)
  const puts = Object.fromEntries(Array.from({ length: 3_500 }, (_, i) => [`key-${i}`, `value-${i}`]))
  await save(store, batch(1, puts))
  await store.close()
  const { store: again, loaded } = await openStateStore(realDisk, directory)
  expect(rowsOf(loaded)).toEqual(puts)
  await again.close()
})

test('number 1 replaces all that was there', async () => {
  await withThreeCheckpoints()
  const first = await openStateStore(realDisk, directory)
  await save(first.store, batch(1, { z: 'new' }))
  await save(first.store, batch(2, { y: 'newer' }))
  await first.store.close()
  const second = await openStateStore(realDisk, directory)
  expect(rowsOf(second.loaded)).toEqual({ z: 'new', y: 'newer' })
  await second.store.close()
  expect(await openRaw(async level => (await level.keys().all()).length)).toBe(4)
})

test('a missing marker sends the store aside', async () => {
  await withThreeCheckpoints()
  await openRaw(level => level.del(markerKey(0, 2)))
  const { store, loaded, problem } = await openStateStore(realDisk, directory)
  expect(loaded).toBeUndefined()
  expect(problem).toMatch(
    /can't be used \(checkpoint 2 is missing, 3 is there\); moved to .*state\.unusable-1, the state is rebuilt from the log/,
  )
  expect(fs.existsSync(`${directory}.unusable-1/CURRENT`)).toBe(true)
  await save(store, batch(1, { a: '1' }))
  await store.close()
})

test('a digest that does not match sends the store aside', async () => {
  await withThreeCheckpoints()
  const opened = await openStateStore(realDisk, directory, { verify: checkpoint => checkpoint.rows.length !== 3 })
  expect(opened.loaded).toBeUndefined()
  expect(opened.problem).toContain('do not give the digest')
  await opened.store.close()
})

test('a store that LevelDB itself refuses is moved aside, and no more than three are kept', async () => {
  for (let i = 0; i < 5; i++) {
    await withThreeCheckpoints()
    fs.writeFileSync(path.join(directory, 'CURRENT'), 'junk')
    const { store, loaded, problem } = await openStateStore(realDisk, directory)
    expect(loaded).toBeUndefined()
    expect(problem).toContain('moved to')
    await store.close()
    fs.rmSync(directory, { recursive: true })
  }
  expect(fs.readdirSync(root).sort()).toEqual(['state.unusable-1', 'state.unusable-2', 'state.unusable-3'])
})

test('old markers are dropped, and the kept ones are enough', async () => {
  const { store } = await openStateStore(realDisk, directory, { markersKept: 3 })
  for (let number = 1; number <= 10; number++) await save(store, batch(number, { n: String(number) }))
  await store.close()
  expect(await openRaw(async level => (await level.keys().all()).length)).toBe(4)
  const { store: again, loaded } = await openStateStore(realDisk, directory, { markersKept: 3 })
  expect(loaded?.number).toBe(10)
  await again.close()
})

/** All rows that a reader gives, as text. */
function readAll(reader: ReturnType<StateStore['rows']>): Promise<Record<string, string>> {
  const all: CheckpointRead['rows'][number][] = []
  return new Promise((resolve, reject) => {
    const next = (): void =>
      reader.next((error, rows) => {
        if (error !== undefined) return reject(error)
        if (rows === undefined) return resolve(Object.fromEntries(all.map(row => [text(row.key), text(row.value)])))
        all.push(...rows)
        next()
      })
    next()
  })
}

test('the rows of a moment are those of that moment, whatever is saved while they are read', async () => {
  const { store } = await openStateStore(realDisk, directory)
  await save(store, batch(1, { gone: 'with its generation' }))
  const puts = Object.fromEntries(Array.from({ length: 1_100 }, (_, i) => [`key ${i}`, `${i}`]))
  await save(store, batch(1, puts))
  await save(store, batch(2, { 'key 7': '', other: '5' }, ['key 8']))
  const reader = store.rows()
  // At once: before the other thread has so much as begun.
  await save(store, batch(3, { 'key 9': 'later', new: 'later' }, ['other']))
  const { 'key 8': deleted, ...kept } = puts
  expect(deleted).toBe('8')
  expect(await readAll(reader)).toEqual({ ...kept, 'key 7': '', other: '5' })
  reader.close()
  expect(await readAll(store.rows())).toEqual({ ...kept, 'key 7': '', 'key 9': 'later', new: 'later' })
  await store.close()
})

test('a store that is closed while it is read is closed for good, and the next one opens', async () => {
  const { store } = await openStateStore(realDisk, directory)
  await save(store, batch(1, { a: '1' }))
  let told = 0
  store.rows().next(() => told++)
  const second = store.rows()
  await store.close()
  await store.close()
  const again = await openStateStore(realDisk, directory)
  expect(rowsOf(again.loaded)).toEqual({ a: '1' })
  await again.store.close()
  second.next(() => told++)
  expect(told).toBe(0)
})

test('a database that cannot be read in the other thread is the fault of the disk', async () => {
  fs.writeFileSync(directory, 'no directory')
  const reader = openRowThread(directory, new Uint8Array(4))
  const told: unknown[] = []
  for (let i = 0; i < 2; i++) await readAll(reader).catch((error: unknown) => told.push(error))
  expect(told).toHaveLength(2)
  for (const error of told)
    expect(error).toMatchObject({ name: 'StorageError', message: expect.stringMatching(/could not be read/) as string })
  reader.close()
  await reader.ended
})

test('a second process is refused with one sentence', async () => {
  const { store } = await openStateStore(realDisk, directory)
  const script = path.join(root, 'second.mjs')
  const level = path.resolve(import.meta.dirname, '../../node_modules/level/index.js')
  fs.writeFileSync(
    script,
    `import { Level } from ${JSON.stringify(level)}\nnew Level(process.argv[2]).open().catch(e => process.send(e.cause.code))\n`,
  )
  const code = await new Promise(resolve => fork(script, [directory]).once('message', resolve))
  expect(code).toBe('LEVEL_LOCKED')
  await expect(openStateStore(realDisk, directory)).rejects.toThrow(
    /is in use by another process; stop that one or choose another data_dir$/,
  )
  await store.close()
})

test('every lost marker and every flipped bit of one is noticed', () => {
  const entries: [Uint8Array, Uint8Array][] = []
  for (let number = 1; number <= 4; number++) entries.push([markerKey(2, number), encodeMarker(batch(number, {}))])
  entries.push([rowKey(2, bytes('k')), bytes('v')])
  expect(judgeStore(entries, 100)).toMatchObject({ kind: 'loaded', generation: 2, checkpoint: { number: 4 } })
  for (let lost = 0; lost < 3; lost++) expect(judgeStore(entries.toSpliced(lost, 1), 100).kind).toBe('unusable')
  const marker = encodeMarker(batch(4, {}))
  for (let bit = 0; bit < marker.length * 8; bit++) {
    const flipped = marker.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(judgeStore([...entries.slice(0, 3), [markerKey(2, 4), flipped]], 100).kind).toBe('unusable')
  }
})

test('the bytes are as the table says', () => {
  const hex = (view: Uint8Array): string => Buffer.from(view).toString('hex')
  expect({
    marker: hex(encodeMarker({ number: 7, appliedIndex: 0x1_0000_0001, digest: { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } } })),
    markerKey: hex(markerKey(5, 7)),
    rowKey: hex(rowKey(5, bytes('ab'))),
  }).toMatchInlineSnapshot(`
    {
      "marker": "0700000000000000010000000100000001000000020000000300000004000000ec226487",
      "markerKey": "00000005010000000000000007",
      "rowKey": "00000005026162",
    }
  `)
})
