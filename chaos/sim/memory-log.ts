/**
 * A log and a hard state without a disk, for tests of the Raft driver by itself: what a flush has not finished is lost with the process.
 * The durable part is a plain object that outlives the process; `recover` makes what the next one starts from. Records here have a format of their own
 * (and no chain of checksums); the real one is src/storage.
 */
import { assert, mustExist } from '../../src/platform/assert.ts'
import { crc32c, readU64, viewOf, writeU64 } from '../../src/platform/bytes.ts'
import type {
  BlockCheck,
  EntryBody,
  EntryId,
  HardStateStorage,
  LogIndex,
  LogStorage,
  MembershipAt,
  RecordBlock,
  RecoveredState,
  StoredEntry,
  Term,
  TermRun,
} from '../../raft/index.ts'
import { decodeMembership, EntryKind, originId } from '../../raft/index.ts'
import type { Scheduler, SimProcess } from './scheduler.ts'

/** length u32 | crc u32 | term u64 | index u64 | wallMs u64 | kind u32 */
const headerBytes = 36

/** What survives the process. */
export interface DurableMemory {
  readonly records: Uint8Array[]
  term: number
  votedFor: number | undefined
  incarnation: number
}

/** The disk of a machine: `open` it for each process. */
export class MemoryDisk {
  readonly memory: DurableMemory = { records: [], term: 0, votedFor: undefined, incarnation: 0 }
  /** The next flush ends with it. */
  failure: Error | undefined
  readonly #scheduler: Scheduler
  readonly #syncMs: () => number

  /** `syncMs` says how long the next flush or save takes. */
  constructor(scheduler: Scheduler, syncMs: () => number) {
    this.#scheduler = scheduler
    this.#syncMs = syncMs
  }

  open(process: SimProcess): { recovered: RecoveredState; log: MemoryLog; hardState: MemoryHardState } {
    const options = { scheduler: this.#scheduler, process, syncMs: this.#syncMs, failure: () => this.failure }
    const recovered = recoverMemory(this.memory)
    return { recovered, log: new MemoryLog(this.memory, options), hardState: new MemoryHardState(this.memory, options) }
  }

  /** What was not flushed is gone with the process, whatever ended it. */
  killed(): void {
    this.failure = undefined
  }

  powerLost(): void {
    this.failure = undefined
  }
}

interface MemoryDiskOptions {
  readonly scheduler: Scheduler
  readonly process: SimProcess
  /** How long a flush or a save takes. */
  syncMs: () => number
  failure: () => Error | undefined
}

/** Starts a process's life: counts the restart, and says what was found. */
function recoverMemory(memory: DurableMemory): RecoveredState {
  memory.incarnation++
  const { records } = memory
  const last = records.at(-1)
  return {
    hardState: { term: memory.term as Term, votedFor: memory.votedFor as RecoveredState['hardState']['votedFor'] },
    firstIndex: 1 as LogIndex,
    last: last === undefined ? originId : idOf(last),
    runs: runsOf(records),
    memberships: membershipsOf(records),
    appliedIndex: 0 as LogIndex,
    lastWallMs: last === undefined ? 0 : readU64(viewOf(last), 24),
    hasTornTail: false,
    isVoteWithheld: false,
    isRecovering: false,
    incarnation: memory.incarnation,
  }
}

export class MemoryLog implements LogStorage {
  readonly firstIndex = 1 as LogIndex
  readonly #memory: DurableMemory
  readonly #options: MemoryDiskOptions
  #records: Uint8Array[]
  /** The lowest place changed since the last flush began. */
  #changedFrom = Infinity
  #isFlushing = false
  durableNoted = 0

  constructor(memory: DurableMemory, options: MemoryDiskOptions) {
    this.#memory = memory
    this.#options = options
    this.#records = [...memory.records]
  }

  get lastId(): EntryId {
    const last = this.#records.at(-1)
    return last === undefined ? originId : idOf(last)
  }

  get termRuns(): readonly TermRun[] {
    return runsOf(this.#records)
  }

  get hasUnflushed(): boolean {
    return this.#changedFrom !== Infinity
  }

  recordBytes(bodyBytes: number): number {
    return headerBytes + bodyBytes
  }

  appendOwn(stamp: { term: Term; firstIndex: LogIndex; kind: EntryKind; wallMs: number }, bodies: readonly EntryBody[]): void {
    bodies.forEach((body, i) => {
      const record = new Uint8Array(headerBytes + body.bytes)
      const view = viewOf(record)
      view.setUint32(0, record.length, true)
      writeU64(view, 8, stamp.term)
      writeU64(view, 16, stamp.firstIndex + i)
      writeU64(view, 24, stamp.wallMs)
      view.setUint32(32, stamp.kind, true)
      let at = headerBytes
      for (const part of body.parts) {
        record.set(part, at)
        at += part.length
      }
      assert(crc32c(record.subarray(headerBytes)) === body.crc, 'body-crc')
      view.setUint32(4, crc32c(record.subarray(8)), true)
      this.#push(record)
    })
  }

  checkBlock(prev: EntryId, bytes: Uint8Array): BlockCheck {
    const records = split(bytes)
    if (records === undefined || records.length === 0) return { kind: 'corrupt', problem: 'not whole records' }
    let index: number = prev.index
    let term: number = prev.term
    for (const record of records) {
      const id = idOf(record)
      if (crc32c(record.subarray(8)) !== viewOf(record).getUint32(4, true)) return { kind: 'corrupt', problem: 'checksum' }
      if (id.index !== index + 1 || id.term < term) return { kind: 'corrupt', problem: 'not in order' }
      index = id.index
      term = id.term
    }
    return { kind: 'ok', block: blockOf(prev, records), memberships: membershipsOf(records) }
  }

  appendBlock(block: RecordBlock, fromIndex: LogIndex): void {
    const records = mustExist(split(Buffer.concat(block.buffers)), 'block-is-whole')
    for (const record of records) if (idOf(record).index >= fromIndex) this.#push(Uint8Array.from(record))
  }

  truncateFrom(index: LogIndex): void {
    assert(index >= 1 && index <= this.#records.length, 'truncate-range', index)
    this.#records.length = index - 1
    this.#changedFrom = Math.min(this.#changedFrom, index - 1)
  }

  bytesBehind(index: LogIndex): number {
    let bytes = 0
    for (let i = this.#records.length; i > index; i--) bytes += this.#records[i - 1]?.length ?? 0
    return bytes
  }

  /** Holds everything for ever. */
  trimTo(index: LogIndex): void {
    assert(index <= this.#records.length + 1, 'trim-range', index)
  }

  readBlock(fromIndex: LogIndex, lastIndex: LogIndex, bytesMax: number): RecordBlock | undefined {
    if (fromIndex > this.#records.length) return undefined
    const records: Uint8Array[] = []
    let bytes = 0
    for (const record of this.#records.slice(fromIndex - 1, lastIndex)) {
      if (records.length > 0 && bytes + record.length > bytesMax) break
      records.push(record)
      bytes += record.length
    }
    const before = this.#records[fromIndex - 2]
    return blockOf(before === undefined ? originId : idOf(before), records)
  }

  entry(index: LogIndex): StoredEntry {
    const record = mustExist(this.#records[index - 1], 'entry-in-log', index)
    const view = viewOf(record)
    return { ...idOf(record), kind: view.getUint32(32, true) as EntryKind, wallMs: readU64(view, 24), body: record.subarray(headerBytes) }
  }

  flush(done: (error: Error | undefined) => void): void {
    assert(!this.#isFlushing, 'one-flush-outstanding')
    this.#isFlushing = true
    const from = this.#changedFrom
    const written = this.#records.slice()
    this.#changedFrom = Infinity
    const { scheduler, process, syncMs, failure } = this.#options
    scheduler.schedule(
      syncMs(),
      () => {
        this.#isFlushing = false
        const error = failure()
        if (error === undefined && from !== Infinity) {
          this.#memory.records.length = Math.min(this.#memory.records.length, from)
          this.#memory.records.push(...written.slice(this.#memory.records.length))
        }
        done(error)
      },
      process,
    )
  }

  noteDurable(index: LogIndex): void {
    assert(index <= this.#memory.records.length, 'noted-beyond-durable', index, this.#memory.records.length)
    this.durableNoted = index
  }

  #push(record: Uint8Array): void {
    assert(idOf(record).index === this.#records.length + 1, 'append-gap', idOf(record).index)
    this.#changedFrom = Math.min(this.#changedFrom, this.#records.length)
    this.#records.push(record)
  }
}

export class MemoryHardState implements HardStateStorage {
  readonly #memory: DurableMemory
  readonly #options: MemoryDiskOptions
  #isSaving = false

  constructor(memory: DurableMemory, options: MemoryDiskOptions) {
    this.#memory = memory
    this.#options = options
  }

  save(state: { term: Term; votedFor: number | undefined }, released: (error: Error | undefined) => void): void {
    assert(!this.#isSaving, 'one-save-outstanding')
    assert(state.term >= this.#memory.term, 'term-falls', state.term, this.#memory.term)
    this.#isSaving = true
    const { scheduler, process, syncMs } = this.#options
    scheduler.schedule(
      syncMs(),
      () => {
        this.#isSaving = false
        this.#memory.term = state.term
        this.#memory.votedFor = state.votedFor
        released(undefined)
      },
      process,
    )
  }
}

function idOf(record: Uint8Array): EntryId {
  const view = viewOf(record)
  return { term: readU64(view, 8) as Term, index: readU64(view, 16) as LogIndex }
}

function runsOf(records: readonly Uint8Array[]): TermRun[] {
  const runs: TermRun[] = []
  for (const record of records) {
    const { term, index } = idOf(record)
    if (runs.at(-1)?.term !== term) runs.push({ firstIndex: index, term })
  }
  return runs
}

function membershipsOf(records: readonly Uint8Array[]): MembershipAt[] {
  return records.flatMap(record => {
    if (viewOf(record).getUint32(32, true) !== EntryKind.config) return []
    const decoded = decodeMembership(record.subarray(headerBytes))
    assert(decoded.kind === 'ok', 'config-entry')
    return [{ index: idOf(record).index, membership: decoded.membership }]
  })
}

function blockOf(prev: EntryId, records: readonly Uint8Array[]): RecordBlock {
  const last = mustExist(records.at(-1), 'block-of-none')
  return {
    prev,
    lastIndex: idOf(last).index,
    runs: runsOf(records),
    bytes: records.reduce((sum, record) => sum + record.length, 0),
    lastWallMs: readU64(viewOf(last), 24),
    buffers: records,
  }
}

function split(bytes: Uint8Array): Uint8Array[] | undefined {
  const records: Uint8Array[] = []
  let rest = bytes
  while (rest.length > 0) {
    if (rest.length < headerBytes) return undefined
    const length = viewOf(rest).getUint32(0, true)
    if (length < headerBytes || length > rest.length) return undefined
    records.push(rest.subarray(0, length))
    rest = rest.subarray(length)
  }
  return records
}
