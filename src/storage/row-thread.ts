/**
 * The state store's rows of one moment, read in a thread of its own. LevelDB gives each key and each value as a buffer of its own, tens of millions of them
 * for a gigabyte: the collector of the thread that makes them stops it for a tenth of a second. Here it stops nobody: the rows come packed, many in one buffer.
 *
 *   this thread   open ─────────────┐ next ─────────┐ next …    close ────────┐
 *   the other       open, iterator ─┘   read, pack ─┘                   close ─┘ ends
 */
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { assert } from '../platform/assert.ts'
import { keyPrefixBytes, KeyKind } from './checkpoint-codec.ts'
import { takeRows, type StateRow } from './snapshot/state-file.ts'
import { StorageError } from './storage-error.ts'

const program = `
const { parentPort, workerData } = require('node:worker_threads')
const { level, location, from, rowsMax, rowKind, prefixBytes } = workerData
const { Level } = require(level)
const database = new Level(location, { keyEncoding: 'view', valueEncoding: 'view', multithreading: true })
let iterator
async function open() {
  await database.open()
  iterator = database.iterator({ gte: from, fillCache: false })
  parentPort.postMessage({ kind: 'opened' })
}
async function read() {
  const entries = await iterator.nextv(rowsMax)
  const rows = entries.filter(([key]) => key[4] === rowKind)
  const bytes = new Uint8Array(rows.reduce((sum, [key, value]) => sum + 8 - prefixBytes + key.length + value.length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const [key, value] of rows) {
    view.setUint32(at, key.length - prefixBytes, true)
    view.setUint32(at + 4, value.length, true)
    bytes.set(key.subarray(prefixBytes), at + 8)
    at += 8 + key.length - prefixBytes
    bytes.set(value, at)
    at += value.length
  }
  parentPort.postMessage({ kind: 'rows', bytes, isEnd: entries.length === 0 }, [bytes.buffer])
}
async function close() {
  try {
    await iterator?.close()
    await database.close()
  } finally {
    parentPort.close()
  }
}
const failed = ({ message, code, cause }) =>
  parentPort.postMessage({ kind: 'failed', message: cause?.message ?? message, isOfDatabase: String(code).startsWith('LEVEL_') })
let turn = open().catch(failed)
parentPort.on('message', asked => {
  turn = turn.then(asked === 'close' ? close : read).catch(failed)
})
`

/** What the other thread says. */
type Told =
  | { readonly kind: 'opened' }
  | { readonly kind: 'rows'; readonly bytes: Uint8Array; readonly isEnd: boolean }
  | { readonly kind: 'failed'; readonly message: string; readonly isOfDatabase: boolean }

type RowsDone = (error: Error | undefined, rows: readonly StateRow[] | undefined) => void

export interface RowThread {
  /** The moment whose rows these are is over, or there will be none: what is saved from now on is not among them. Never rejects. */
  readonly opened: Promise<void>
  /** The thread has ended. Never rejects. */
  readonly ended: Promise<void>
  /** One call outstanding. Undefined rows: there are no more. A database that can't be read is a StorageError; a thread that ended, a plain one. */
  next(done: RowsDone): void
  /** Nothing is told any more. Idempotent. */
  close(): void
}

const levelPath = createRequire(import.meta.url).resolve('level')
/** What is made of them is work of one turn. */
const rowsPerRead = 250

/** Rows from the key `from` on, of the database that this process has open at `location`, for several threads. */
export function openRowThread(location: string, from: Uint8Array): RowThread {
  const limits = { rowsMax: rowsPerRead, rowKind: KeyKind.row, prefixBytes: keyPrefixBytes }
  const worker = new Worker(program, { eval: true, workerData: { level: levelPath, location, from, ...limits } })
  let waiting: RowsDone | undefined
  let failure: Error | undefined
  let isClosed = false
  const tell: RowsDone = (error, rows) => {
    const done = waiting
    waiting = undefined
    if (!isClosed) done?.(error, rows)
  }
  const fail = (error: Error): void => {
    failure ??= error
    tell(failure, undefined)
  }
  const opened = new Promise<void>(resolve => {
    worker.on('message', (told: Told) => {
      if (told.kind !== 'rows') resolve()
      if (told.kind === 'rows') tell(undefined, told.isEnd ? undefined : rowsOf(told.bytes))
      else if (told.kind === 'failed') fail(failureOf(told, location))
    })
    worker.once('exit', () => resolve())
  })
  const ended = new Promise<void>(resolve => {
    worker.once('exit', () => {
      fail(new Error('the thread that reads the state store has ended'))
      resolve()
    })
  })
  // Its code is none of the disk's.
  worker.on('error', ({ message }) => fail(new Error(`the thread that reads the state store has failed: ${message}`)))
  return {
    opened,
    ended,
    next(done) {
      waiting = done
      if (failure === undefined) worker.postMessage('next')
      else void opened.then(() => tell(failure, undefined))
    },
    close() {
      if (!isClosed) worker.postMessage('close')
      isClosed = true
    },
  }
}

function rowsOf(bytes: Uint8Array): StateRow[] {
  const rows: StateRow[] = []
  assert(takeRows(bytes, rows), 'row-thread-bytes', bytes.length)
  return rows
}

function failureOf({ message, isOfDatabase }: { readonly message: string; readonly isOfDatabase: boolean }, location: string): Error {
  const sentence = `state store ${location} could not be read (${message})`
  return isOfDatabase ? new StorageError(sentence, location) : new Error(sentence)
}
