/**
 * The state's checkpoints, in LevelDB (DESIGN rule 10). LevelDB is not trusted: each checkpoint is one atomic, synced batch with a numbered marker
 * that carries the state's digest; on open every recent number must be there and the digest must match, else the store is moved aside and the
 * state is rebuilt from the log. LevelDB's own lock guards the whole data directory: open this first.
 *
 * Invariants: one save at a time, numbers without gaps. Number 1 begins a new generation: it replaces all that was there, in one batch.
 * Must never: say that a checkpoint is saved before its batch is synced, or repair what it does not understand.
 */
import { dirname } from 'node:path'
import { Level } from 'level'
import { assert } from '../platform/assert.ts'
import { realClock } from '../platform/clock.ts'
import type { Disk } from '../platform/disk.ts'
import { encodeMarker, generationStart, judgeStore, markerKey, rowKey } from './checkpoint-codec.ts'
import type { CheckpointRead, CheckpointWrite, StoreContent } from './checkpoint-codec.ts'
import { openRowThread, type RowThread } from './row-thread.ts'
import { DirectoryInUse, innermost, StorageError, whatNext } from './storage-error.ts'

export interface StateStoreOptions {
  /** Recomputes the digest of the rows and compares it with the marker's; false = the store is not to be used. */
  readonly verify?: (checkpoint: CheckpointRead) => boolean
  /** Lets other work in between slices of a large batch. The clock's `soon`. */
  readonly soon?: (callback: () => void) => void
  readonly markersKept?: number
}

export interface OpenedStateStore {
  readonly store: StateStore
  /** Undefined: there is none that can be used, and the state begins with the log. */
  readonly loaded: CheckpointRead | undefined
  /** A sentence for the log when a store was moved aside. */
  readonly problem: string | undefined
}

type Database = Level<Uint8Array, Uint8Array>

/** Of the last so many checkpoints each must be there. About ten minutes of work. */
const markersKeptByDefault = 2_048
/** Rows handed to LevelDB in one turn: about a millisecond. */
const rowsPerSlice = 1_000
/** Stores moved aside are kept for the curious, up to so many. */
const asideMax = 3
const rowsPerRead = 1_000
/** For several threads of this process LevelDB's lock is none. */
const inUse = new Set<string>()

/** Opens the store in `directory`, which it creates. Throws a StorageError with one sentence when another process has it. */
export async function openStateStore(disk: Disk, directory: string, options: StateStoreOptions = {}): Promise<OpenedStateStore> {
  if (inUse.has(directory)) throw directoryInUse(directory)
  inUse.add(directory)
  try {
    return await openOwn(disk, directory, options)
  } catch (error) {
    inUse.delete(directory)
    throw error
  }
}

async function openOwn(disk: Disk, directory: string, options: StateStoreOptions): Promise<OpenedStateStore> {
  const markersKept = options.markersKept ?? markersKeptByDefault
  disk.makeDirectory(directory)
  let problem: string | undefined
  let database: Database | undefined
  let content: StoreContent = { kind: 'empty' }
  try {
    database = await openDatabase(directory)
    content = await readContent(database, markersKept)
    if (content.kind === 'loaded' && options.verify?.(content.checkpoint) === false)
      content = { kind: 'unusable', reason: 'its rows do not give the digest of its marker' }
    if (content.kind === 'unusable') problem = content.reason
  } catch (error) {
    problem = problemOf(error, directory)
  }
  if (database === undefined || problem !== undefined) {
    await database?.close()
    const aside = moveAside(disk, directory)
    database = await openDatabase(directory)
    content = { kind: 'empty' }
    problem = `state store ${directory} can't be used (${problem ?? 'not opened'}); moved to ${aside}, the state is rebuilt from the log`
  }
  const held = content.kind === 'loaded' ? content : undefined
  const generation = held?.generation ?? 0
  if (generation > 0) await database.clear({ lt: generationStart(generation) })
  const soon = options.soon ?? ((callback: () => void) => realClock.soon(callback))
  const store = new StateStore(database, directory, { generation, lastNumber: held?.checkpoint.number ?? 0, markersKept, soon })
  return { store, loaded: held?.checkpoint, problem }
}

/** Fits CheckpointStore of src/state/store.ts. */
export class StateStore {
  readonly #database: Database
  readonly #directory: string
  readonly #markersKept: number
  readonly #soon: (callback: () => void) => void
  #generation: number
  #lastNumber: number
  #saving: Promise<void> | undefined
  #reader: RowThread | undefined
  #readersEnded = Promise.resolve()
  #failure: Error | undefined

  constructor(
    database: Database,
    directory: string,
    start: {
      readonly generation: number
      readonly lastNumber: number
      readonly markersKept: number
      readonly soon: (callback: () => void) => void
    },
  ) {
    this.#database = database
    this.#directory = directory
    this.#generation = start.generation
    this.#lastNumber = start.lastNumber
    this.#markersKept = start.markersKept
    this.#soon = start.soon
  }

  /** One atomic, synced batch. One outstanding. An error is final. Number 1 replaces the whole content. Keys and values are lent until `done`. */
  save(batch: CheckpointWrite, done: (error: Error | undefined) => void): void {
    assert(this.#saving === undefined, 'checkpoint-saving')
    assert(batch.number === 1 || batch.number === this.#lastNumber + 1, 'checkpoint-number', batch.number, this.#lastNumber)
    if (this.#failure !== undefined) return done(this.#failure)
    const replaces = batch.number === 1 && this.#lastNumber > 0
    if (replaces) this.#generation++
    this.#lastNumber = batch.number
    this.#saving = this.#write(batch, replaces).then(
      () => this.#finish(undefined, done),
      (error: unknown) => this.#finish(error, done),
    )
  }

  /** The rows as they are now, whatever is saved while they are read; a save waits until they are fixed. One reader at a time. */
  rows(): Pick<RowThread, 'next' | 'close'> {
    assert(this.#saving === undefined, 'rows-while-saving')
    this.#reader?.close()
    const reader = openRowThread(this.#directory, generationStart(this.#generation))
    this.#reader = reader
    this.#readersEnded = this.#readersEnded.then(() => reader.ended)
    return reader
  }

  /** Waits for the save under way, and for whoever reads. Idempotent. */
  async close(): Promise<void> {
    await this.#saving
    // It has the same database open, and the memory that its reads need is this one's.
    this.#reader?.close()
    await this.#readersEnded
    await this.#database.close()
    inUse.delete(this.#directory)
  }

  async #write(batch: CheckpointWrite, replaces: boolean): Promise<void> {
    await this.#reader?.opened
    const chain = this.#database.batch()
    let rows = 0
    for (const { key, value } of batch.puts) {
      chain.put(rowKey(this.#generation, key), value)
      if (++rows % rowsPerSlice === 0) await this.#turn()
    }
    for (const key of batch.deletes) {
      chain.del(rowKey(this.#generation, key))
      if (++rows % rowsPerSlice === 0) await this.#turn()
    }
    chain.put(markerKey(this.#generation, batch.number), encodeMarker(batch))
    if (batch.number > this.#markersKept) chain.del(markerKey(this.#generation, batch.number - this.#markersKept))
    await chain.write({ sync: true })
    if (replaces) await this.#database.clear({ lt: generationStart(this.#generation) })
  }

  #turn(): Promise<void> {
    return new Promise(resolve => this.#soon(resolve))
  }

  #finish(error: unknown, done: (error: Error | undefined) => void): void {
    this.#saving = undefined
    if (error !== undefined)
      this.#failure = new StorageError(
        `state store ${this.#directory} could not be written (${innermost(error)}); ${whatNext(error)}`,
        this.#directory,
        error,
      )
    done(this.#failure)
  }
}

async function openDatabase(directory: string): Promise<Database> {
  const database: Database = new Level(directory, { keyEncoding: 'view', valueEncoding: 'view', multithreading: true })
  await database.open()
  return database
}

async function readContent(database: Database, markersKept: number): Promise<StoreContent> {
  const entries: [Uint8Array, Uint8Array][] = []
  const iterator = database.iterator({ fillCache: false })
  try {
    for (;;) {
      const next = await iterator.nextv(rowsPerRead)
      if (next.length === 0) break
      entries.push(...next)
    }
  } finally {
    await iterator.close()
  }
  return judgeStore(entries, markersKept)
}

/** Renames the directory to the first free `….unusable-N`; when all are taken the last is overwritten. Returns the new name. */
function moveAside(disk: Disk, directory: string): string {
  let aside = `${directory}.unusable-1`
  for (let n = 2; n <= asideMax && disk.list(aside).length > 0; n++) aside = `${directory}.unusable-${n}`
  for (const name of disk.list(aside)) disk.remove(`${aside}/${name}`)
  disk.rename(directory, aside)
  disk.makeDirectory(directory)
  return aside
}

function directoryInUse(directory: string, cause?: unknown): DirectoryInUse {
  const sentence = `data directory ${dirname(directory)} is in use by another process; stop that one or choose another data_dir`
  return new DirectoryInUse(sentence, directory, cause)
}

/** Why the content can't be used. Throws instead when the fault is not the content's: then nothing is moved. */
function problemOf(error: unknown, directory: string): string {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string' || !error.code.startsWith('LEVEL_')) throw error
  const cause = error.cause instanceof Error ? error.cause : error
  if ('code' in cause && cause.code === 'LEVEL_LOCKED') throw directoryInUse(directory, error)
  if (/permission denied|no space left|read-only|too many open files|input\/output error/i.test(cause.message))
    throw new StorageError(`state store ${directory} can't be opened: ${cause.message}`, directory, error)
  return cause.message
}
