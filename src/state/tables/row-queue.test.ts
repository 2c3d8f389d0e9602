import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RowQueue } from './row-queue.ts'
import { firstKeyField, RowTable } from './row-table.ts'
import { CheckpointSink } from './words.ts'

const valueWords = 2
const youngerField = firstKeyField + 2 + valueWords
const rowsMax = 6_000

/** A queue as deduplication keeps one, and what a store would hold of it. */
class Queue {
  readonly rows = new RowTable({ tag: 9, keyWords: 2, valueWords, linkWords: 1, rowsMax, isQueued: true })
  oldest = 0
  youngest = 0
  readonly table = new RowQueue({
    rows: this.rows,
    valueWords,
    youngerField,
    oldest: () => this.oldest,
    youngest: () => this.youngest,
  })

  push(number: number): void {
    const row = this.rows.allocate()
    this.rows.setU64(row, firstKeyField, number)
    this.rows.set(row, firstKeyField + 2, number * 3)
    this.rows.set(row, firstKeyField + 3, -number)
    this.link(row)
  }

  link(row: number): void {
    if (this.youngest === 0) this.oldest = row
    else this.rows.set(this.youngest, youngerField, row)
    this.youngest = row
  }

  shift(): void {
    const row = this.oldest
    this.oldest = this.rows.get(row, youngerField)
    if (this.oldest === 0) this.youngest = 0
    this.rows.remove(row)
  }

  content(): string[] {
    const found: string[] = []
    this.rows.forEachRow((words, at, count) => found.push([...words.subarray(at, at + count)].join()))
    return found.sort()
  }
}

class Store {
  readonly #rows = new Map<string, { key: Uint8Array; value: Uint8Array }>()

  save(queue: Queue): number {
    const sink = new CheckpointSink()
    queue.table.collect(sink)
    for (const key of sink.deletes) this.#rows.delete(key.join())
    for (const { key, value } of sink.puts) this.#rows.set(key.join(), { key: key.slice(), value: value.slice() })
    return sink.puts.length + sink.deletes.length
  }

  get size(): number {
    return this.#rows.size
  }

  /** In an order of no meaning. */
  restore(): Queue {
    const queue = new Queue()
    for (const { key, value } of [...this.#rows.values()].reverse()) expect(queue.table.load(key, value)).toBeUndefined()
    expect(queue.table.finishLoad()).toBeUndefined()
    const { rows } = queue
    for (const row of rows.handles().sort((a, b) => rows.getU64(a, firstKeyField) - rows.getU64(b, firstKeyField))) queue.link(row)
    return queue
  }
}

test('what was saved comes back as it was, whatever came, went, was saved and restored before', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('push' as const), count: fc.integer({ min: 1, max: 2_500 }) }),
    fc.record({ kind: fc.constant('shift' as const), count: fc.integer({ min: 1, max: 2_500 }) }),
    fc.record({ kind: fc.constantFrom('save' as const, 'restart' as const), count: fc.constant(0) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), steps => {
      const store = new Store()
      let queue = new Queue()
      let next = 1
      for (const { kind, count } of steps) {
        if (kind === 'push') for (let i = 0; i < count && queue.rows.count < rowsMax; i++) queue.push(next++)
        if (kind === 'shift') for (let i = 0; i < count && queue.rows.count > 0; i++) queue.shift()
        if (kind === 'save' || kind === 'restart') {
          store.save(queue)
          expect(queue.table.changedCount).toBe(0)
          const restored = store.restore()
          expect(restored.content()).toEqual(queue.content())
          if (kind === 'restart') queue = restored
        }
      }
    }),
    { numRuns: 60 },
  )
})

test('a checkpoint of many rows is a few keys, and a chunk that nobody is in any more leaves the store', () => {
  const store = new Store()
  const queue = new Queue()
  for (let number = 1; number <= 3_000; number++) queue.push(number)
  expect(queue.table.changedCount).toBe(3_000)
  expect(store.save(queue)).toBe(3)
  expect(store.save(queue)).toBe(0)
  for (let i = 0; i < 1_500; i++) queue.shift()
  // One chunk less, and the floor.
  expect(store.save(queue)).toBe(2)
  expect(store.size).toBe(3)
  for (let i = 0; i < 1_500; i++) queue.shift()
  store.save(queue)
  // The floor alone is left.
  expect(store.size).toBe(1)
})

test('a store with one row to a key, as it was written before there were chunks, can be read', () => {
  const queue = new Queue()
  for (const number of [1, 2, 3]) {
    const key = new Uint8Array([9, number, 0, 0, 0, 0, 0, 0, 0])
    expect(queue.table.load(key, new Uint8Array([number * 3, 0, 0, 0, 0, 0, 0, 0]))).toBeUndefined()
  }
  expect(queue.table.finishLoad()).toBeUndefined()
  expect(queue.rows.count).toBe(3)
})

test('what is no chunk is refused with a sentence', () => {
  const chunk = (number: number, bytes: number): [Uint8Array, Uint8Array] => [
    new Uint8Array([9, number, 0, 0, 0, 0, 0, 0, 0]),
    new Uint8Array(bytes),
  ]
  const { table } = new Queue()
  expect(table.load(...chunk(1, 0))).toBe('a chunk has the wrong length')
  expect(table.load(...chunk(1, 9))).toBe('a chunk has the wrong length')
  expect(table.load(...chunk(0, 4))).toBe('the row is too short')
  expect(table.load(new Uint8Array(4), new Uint8Array(8))).toBe('the row is too short')
  expect(table.load(...chunk(1, 16))).toBeUndefined()
  expect(table.load(...chunk(2, 8))).toBeUndefined()
  expect(table.finishLoad()).toBe('two chunks hold the same row')
})
