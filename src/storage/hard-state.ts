/**
 * Term, vote, restart counter and durable mark on disk: one file with two slots, each 80 bytes at the start of its own 4 KiB block (rule 12).
 * Writes alternate between the slots, so there is always one that is whole. A change of term or vote goes to one slot, is synced, then to the other, is
 * synced, and only then released: whichever slot is lost, what was ever told stands in the other (docs/decisions/0018). A mark alone goes to one.
 *
 * Slot, little endian:  0 magic u32 | 4 format u16 | 6 flags u16 | 8 counter u64 | 16 term u64 | 24 durable mark u64 | 32 directory id 16 bytes
 * | 48 incarnation u64 | 56 voted for u32 (0 = nobody) | 60 mark's headerCrc u32 | 64 mark's term u64 | 72 zero u32 | 76 crc u32 (of bytes 0..75)
 * Format 1 was 64 bytes long: its crc stood at 60, and of the mark it knew only the index.
 *
 * Invariants: one write outstanding; what is released is never older than what a later open finds; the first error poisons.
 * The reasons for reserve (a torn tail, a new directory, a state older than the log) are flags here, for they must outlive restarts until the core
 * lifts them.
 */
import type { HardState, HardStateStorage, NodeId, Term } from '../../raft/index.ts'
import { assert } from '../platform/assert.ts'
import { crc32cRange, readU64, viewOf, writeU64 } from '../platform/bytes.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import type { DurableMarks, FlushDone } from './log-writer.ts'
import { directoryIdBytes } from './segment.ts'
import { StorageError, whatNext } from './storage-error.ts'

export const hardStateName = 'hard-state'
export const slotBytes = 80
/** Distance of the slots: no disk damages both with one block. */
export const slotSpacingBytes = 4096

const slotMagic = 0x53_51_4d_52 // "RMQS"
const slotFormat = 2
const firstFormat = { number: 1, crcAt: 60 } as const
const at = {
  magic: 0,
  format: 4,
  flags: 6,
  counter: 8,
  term: 16,
  mark: 24,
  directoryId: 32,
  incarnation: 48,
  votedFor: 56,
  markCrc: 60,
  markTerm: 64,
  crc: 76,
} as const
const Flag = { tornTail: 1, voteWithheld: 2 } as const

/** The mark is kept when it is this old … */
export const markIntervalMs = 1_000
/** … or when so much has been flushed since. */
export const markIntervalBytes = 16 * 1024 * 1024

/** What the record at the mark is: a log that rotted near its end can be proven whole again by it. */
export interface MarkLink {
  readonly term: number
  readonly headerCrc: number
}

/** A place that is on disk, and the record there, where it is known. */
export interface DurableMark {
  readonly index: number
  readonly link: MarkLink | undefined
}

/** What a slot holds. */
export interface HardStateRecord {
  readonly counter: number
  readonly term: number
  readonly votedFor: number | undefined
  readonly mark: number
  /** Unknown for a mark of 0 and for one that a slot of format 1 told. */
  readonly markLink: MarkLink | undefined
  readonly incarnation: number
  readonly hasTornTail: boolean
  readonly isVoteWithheld: boolean
}

export function encodeSlot(record: HardStateRecord, directoryId: Uint8Array): Uint8Array {
  assert(directoryId.length === directoryIdBytes, 'directory-id-length', directoryId.length)
  const bytes = new Uint8Array(slotBytes)
  const view = viewOf(bytes)
  view.setUint32(at.magic, slotMagic, true)
  view.setUint16(at.format, slotFormat, true)
  const torn = record.hasTornTail ? Flag.tornTail : 0
  const withheld = record.isVoteWithheld ? Flag.voteWithheld : 0
  view.setUint16(at.flags, torn + withheld, true)
  writeU64(view, at.counter, record.counter)
  writeU64(view, at.term, record.term)
  writeU64(view, at.mark, record.mark)
  view.setUint32(at.markCrc, record.markLink?.headerCrc ?? 0, true)
  writeU64(view, at.markTerm, record.markLink?.term ?? 0)
  bytes.set(directoryId, at.directoryId)
  writeU64(view, at.incarnation, record.incarnation)
  view.setUint32(at.votedFor, record.votedFor ?? 0, true)
  view.setUint32(at.crc, crc32cRange(bytes, 0, at.crc), true)
  return bytes
}

/** Undefined when the bytes are no valid slot of this data directory. */
export function decodeSlot(bytes: Uint8Array, directoryId: Uint8Array): HardStateRecord | undefined {
  if (bytes.length < slotBytes) return undefined
  const view = viewOf(bytes)
  const format = view.getUint16(at.format, true)
  const crcAt = format === firstFormat.number ? firstFormat.crcAt : at.crc
  if (crc32cRange(bytes, 0, crcAt) !== view.getUint32(crcAt, true)) return undefined
  if (view.getUint32(at.magic, true) !== slotMagic || (format !== slotFormat && format !== firstFormat.number)) return undefined
  for (let i = 0; i < directoryIdBytes; i++) if (bytes[at.directoryId + i] !== directoryId[i]) return undefined
  const flags = view.getUint16(at.flags, true)
  const votedFor = view.getUint32(at.votedFor, true)
  const markTerm = format === slotFormat ? readU64(view, at.markTerm) : 0
  return {
    counter: readU64(view, at.counter),
    term: readU64(view, at.term),
    votedFor: votedFor === 0 ? undefined : votedFor,
    mark: readU64(view, at.mark),
    markLink: markTerm === 0 ? undefined : { term: markTerm, headerCrc: view.getUint32(at.markCrc, true) },
    incarnation: readU64(view, at.incarnation),
    hasTornTail: (flags & Flag.tornTail) !== 0,
    isVoteWithheld: (flags & Flag.voteWithheld) !== 0,
  }
}

/** The directory id that a good slot repeats, for a VERSION that is damaged. */
export function directoryIdInHardState(disk: Disk, dataDirectory: string): Uint8Array | undefined {
  const path = `${dataDirectory}/${hardStateName}`
  if (!disk.exists(path)) return undefined
  const file = disk.open(path, { create: false })
  try {
    for (const position of [0, slotSpacingBytes]) {
      const bytes = new Uint8Array(slotBytes)
      const count = file.readSync(bytes, position)
      const directoryId = bytes.slice(at.directoryId, at.directoryId + directoryIdBytes)
      if (decodeSlot(bytes.subarray(0, count), directoryId) !== undefined) return directoryId
    }
    return undefined
  } finally {
    file.close()
  }
}

/** How an open begins: what was found, before anything is written. */
export type FoundHardState =
  | { readonly kind: 'found'; readonly record: HardStateRecord; readonly isSlotLost: boolean }
  | { readonly kind: 'missing' }
  /** Both slots are unreadable, or belong to another directory. */
  | { readonly kind: 'lost' }

export function readHardState(disk: Disk, dataDirectory: string, directoryId: Uint8Array): FoundHardState {
  const path = `${dataDirectory}/${hardStateName}`
  if (!disk.exists(path)) return { kind: 'missing' }
  const file = disk.open(path, { create: false })
  const slots: (HardStateRecord | undefined)[] = []
  for (const position of [0, slotSpacingBytes]) {
    const bytes = new Uint8Array(slotBytes)
    slots.push(decodeSlot(bytes.subarray(0, file.readSync(bytes, position)), directoryId))
  }
  file.close()
  const [first, second] = slots
  if (first !== undefined && second !== undefined) {
    return { kind: 'found', record: first.counter > second.counter ? first : second, isSlotLost: false }
  }
  const record = first ?? second
  return record === undefined ? { kind: 'lost' } : { kind: 'found', record, isSlotLost: true }
}

/** The state of a new data directory: nobody has spoken for it yet, and what an earlier one may have promised is unknown, as after a torn tail. */
export const firstHardState: HardStateRecord = {
  counter: 0,
  term: 0,
  votedFor: undefined,
  mark: 0,
  markLink: undefined,
  incarnation: 0,
  hasTornTail: true,
  isVoteWithheld: false,
}

export interface HardStateFileOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly dataDirectory: string
  readonly directoryId: Uint8Array
  /** What `readHardState` found, with what the opener changes in it (incarnation, flags, mark). Written to both slots before the constructor returns. */
  readonly record: HardStateRecord
}

export class HardStateFile implements HardStateStorage, DurableMarks {
  readonly #clock: Clock
  readonly #file: DiskFile
  readonly #directoryId: Uint8Array
  #record: HardStateRecord
  /** Writes still to be done so that both slots hold the present term, vote and flags. */
  #writesOwed = 0
  /** Run when the last write owed, which begins from now on, is on disk. */
  #waiting: FlushDone[] = []
  #isBusy = false
  #poison: Error | undefined
  #closing: FlushDone | undefined
  #whenPoisoned: ((error: Error) => void) | undefined
  #markTimer: Timer | undefined
  #markedMs: number
  #markedLogBytes = 0
  /** Told, not kept yet. */
  #nextMark: DurableMark
  #nextLogBytes = 0

  constructor(options: HardStateFileOptions) {
    const { disk, clock, dataDirectory, directoryId, record } = options
    this.#clock = clock
    this.#directoryId = directoryId
    const path = `${dataDirectory}/${hardStateName}`
    const isNew = !disk.exists(path)
    this.#file = disk.open(path, { create: true })
    this.#record = record
    this.#nextMark = { index: record.mark, link: record.markLink }
    this.#markedMs = clock.nowMs()
    this.writeBothSync(record)
    if (isNew) disk.syncDirectory(dataDirectory)
  }

  /** Term and vote as last saved. */
  get state(): HardState {
    return { term: this.#record.term as Term, votedFor: this.#record.votedFor as NodeId | undefined }
  }

  get record(): HardStateRecord {
    return this.#record
  }

  /** The mark that is on disk or on its way there. */
  get mark(): number {
    return this.#record.mark
  }

  save(state: { term: Term; votedFor: number | undefined }, released: FlushDone): void {
    const { term, votedFor } = state
    assert(term >= this.#record.term, 'term-falls', term, this.#record.term)
    assert(votedFor !== 0, 'voted-for-nobody')
    assert(this.#closing === undefined, 'save-after-close')
    // A vote is only cast by a core whose reserve is lifted.
    const isVoteWithheld = this.#record.isVoteWithheld && votedFor === undefined
    this.#change({ ...this.#record, term, votedFor, isVoteWithheld }, released)
  }

  whenPoisoned(failed: (error: Error) => void): void {
    this.#whenPoisoned = failed
  }

  trustRestored(what: 'tail' | 'vote'): void {
    const { hasTornTail, isVoteWithheld } = this.#record
    if (what === 'tail' && hasTornTail) this.#change({ ...this.#record, hasTornTail: false }, ignore)
    if (what === 'vote' && isVoteWithheld) this.#change({ ...this.#record, isVoteWithheld: false }, ignore)
  }

  noteDurable(mark: DurableMark, logBytes: number): void {
    if (mark.index <= this.#nextMark.index || this.#poison !== undefined || this.#closing !== undefined) return
    this.#nextMark = mark
    this.#nextLogBytes = logBytes
    if (logBytes - this.#markedLogBytes >= markIntervalBytes) return this.#keepMark()
    if (this.#markTimer !== undefined) return
    const waitMs = Math.max(0, this.#markedMs + markIntervalMs - this.#clock.nowMs())
    this.#markTimer = this.#clock.setTimer(waitMs, () => this.#keepMark())
  }

  lowerMark(mark: DurableMark, done: FlushDone): void {
    if (mark.index < this.#nextMark.index) this.#nextMark = mark
    if (this.#record.mark <= mark.index) return done(this.#poison)
    this.#change({ ...this.#record, mark: mark.index, markLink: mark.link }, done)
  }

  /** Keeps the last mark told, then closes the file. `done` may run at once. Nothing may be saved any more. */
  close(done: FlushDone): void {
    assert(this.#closing === undefined, 'hard-state-closed-twice')
    this.#closing = done
    this.#markTimer?.cancel()
    if (this.#poison === undefined && this.#nextMark.index > this.#record.mark) this.#keepMark()
    else if (!this.#isBusy) this.#finishClosing(done)
  }

  /** Blocking, for the start: both slots, one after the other. */
  writeBothSync(record: HardStateRecord): void {
    assert(!this.#isBusy, 'hard-state-busy')
    // The last word on the mark, also where the log ends earlier than it did.
    if (record.mark !== this.#record.mark) this.#nextMark = { index: record.mark, link: record.markLink }
    this.#record = record
    for (let i = 0; i < 2; i++) {
      const { position, bytes } = this.#nextSlot()
      this.#file.writeSync(bytes, position)
      this.#file.syncSync()
    }
  }

  #finishClosing(done: FlushDone): void {
    this.#file.close()
    done(this.#poison)
  }

  #keepMark(): void {
    this.#markTimer?.cancel()
    this.#markTimer = undefined
    this.#markedMs = this.#clock.nowMs()
    this.#markedLogBytes = this.#nextLogBytes
    this.#record = { ...this.#record, mark: this.#nextMark.index, markLink: this.#nextMark.link }
    this.#writesOwed = Math.max(this.#writesOwed, 1)
    this.#pump()
  }

  #change(record: HardStateRecord, done: FlushDone): void {
    this.#record = record
    this.#waiting.push(done)
    this.#writesOwed = 2
    this.#pump()
  }

  #pump(): void {
    if (this.#isBusy) return
    if (this.#poison !== undefined) this.#answerPoison(this.#poison)
    if (this.#poison !== undefined || this.#writesOwed === 0) {
      if (this.#closing !== undefined) this.#finishClosing(this.#closing)
      return
    }
    this.#writesOwed--
    this.#isBusy = true
    const released = this.#writesOwed === 0 ? this.#waiting.splice(0) : []
    const { position, bytes } = this.#nextSlot()
    this.#file.writeAndSync(position, [bytes], error => {
      this.#isBusy = false
      if (error !== undefined) {
        const { path } = this.#file
        const poison = new StorageError(`${path}: writing term and vote failed (${error.message}); ${whatNext(error)}`, path, error)
        this.#poison = poison
        this.#clock.soon(() => this.#whenPoisoned?.(poison))
      }
      // The next write may begin before these callbacks ask for more: they only add to what is owed.
      for (const done of released) done(this.#poison)
      this.#pump()
    })
  }

  /** Later, for the caller does not expect an answer inside its call. */
  #answerPoison(poison: Error): void {
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length > 0) this.#clock.soon(() => waiting.forEach(done => done(poison)))
  }

  /** Takes the next counter, which says which slot's turn it is. */
  #nextSlot(): { readonly position: number; readonly bytes: Uint8Array } {
    const counter = this.#record.counter + 1
    this.#record = { ...this.#record, counter }
    return { position: (counter % 2) * slotSpacingBytes, bytes: encodeSlot(this.#record, this.#directoryId) }
  }
}

function ignore(): void {
  // Errors are in the poison: the next save or flush tells them.
}
