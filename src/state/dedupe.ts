/**
 * Send deduplication (rule 5): for each message with an id, where it was put, kept for a window. The table is a queue by age: rows come in at the
 * young end and leave at the old end, so what leaves depends on nothing but the rows. Found by (key, fingerprint): an equal key with another
 * fingerprint is another message and has a row of its own. A second index holds only the youngest row of each key, so that a client that gives
 * one id to all its messages makes no long chains.
 * Ages are measured without the clock's leaps, and nothing younger than `dedupeKeepMs` ever leaves, however full the table is (mutant M67).
 */
import type { Hash64 } from './ids.ts'
import { nowMs } from './registers.ts'
import { type State, tags } from './state.ts'
import { KeyIndex, mix } from './tables/key-index.ts'
import { RowQueue } from './tables/row-queue.ts'
import { firstKeyField, RowTable } from './tables/row-table.ts'

const key = firstKeyField
const value = key + 2
const valueWords = 12
const link = value + valueWords

const DedupeField = {
  order: key,
  keyALow: value,
  keyAHigh: value + 1,
  keyBLow: value + 2,
  keyBHigh: value + 3,
  fingerprintLow: value + 4,
  fingerprintHigh: value + 5,
  topic: value + 6,
  queue: value + 7,
  offset: value + 8,
  atMs: value + 10,
  hashNext: link,
  younger: link + 1,
  keyHashNext: link + 2,
} as const

/** Rows that one entry may evict for age. More than a send can bring. */
const evictedMax = 1_100

export interface Dedupe {
  readonly rows: RowTable
  /** How they are checkpointed. */
  readonly table: RowQueue
  /** All rows, by key and fingerprint. */
  readonly byMessage: KeyIndex
  /** Of each key the youngest row. */
  readonly byKey: KeyIndex
  oldest: number
  youngest: number
}

export interface DedupeKey {
  readonly a: Hash64
  readonly b: Hash64
}

export function newDedupe(rowsMax: number): Dedupe {
  const rows = new RowTable({ tag: tags.dedupe, keyWords: 2, valueWords, linkWords: 3, rowsMax, isQueued: true })
  const byMessage = new KeyIndex(rows, DedupeField.hashNext, row => messageHashOf(rows, row))
  const byKey = new KeyIndex(rows, DedupeField.keyHashNext, row => keyHashOf(rows, row))
  const oldest = (): number => dedupe.oldest
  const youngest = (): number => dedupe.youngest
  const table = new RowQueue({ rows, valueWords, youngerField: DedupeField.younger, oldest, youngest })
  const dedupe: Dedupe = { rows, table, byMessage, byKey, oldest: 0, youngest: 0 }
  return dedupe
}

/** The row of this very message in this topic; 0 = it was not sent within the window. */
export function findSent(dedupe: Dedupe, topicId: number, dedupeKey: DedupeKey, fingerprint: Hash64): number {
  const { rows, byMessage } = dedupe
  let row = byMessage.first(messageHash(dedupeKey.a.low, dedupeKey.b.low, fingerprint.low))
  while (row !== 0) {
    if (hasKey(rows, row, dedupeKey) && hasFingerprint(rows, row, fingerprint)) {
      // A topic of the same name that was deleted since: its messages are gone, so this one was not sent.
      if (rows.getU32(row, DedupeField.topic) === topicId) return row
    }
    row = byMessage.next(row)
  }
  return 0
}

/** Whether the last message that came with this id is another one. */
export function hasCollision(dedupe: Dedupe, dedupeKey: DedupeKey, fingerprint: Hash64): boolean {
  const row = youngestOf(dedupe, dedupeKey)
  return row !== 0 && !hasFingerprint(dedupe.rows, row, fingerprint)
}

export function sentQueue(dedupe: Dedupe, row: number): number {
  return dedupe.rows.getU32(row, DedupeField.queue)
}

export function sentOffset(dedupe: Dedupe, row: number): number {
  return dedupe.rows.getU64(row, DedupeField.offset)
}

/** Evicts what is past the window. With every entry that time passes with. */
export function evictOld(state: State): void {
  const { dedupe } = state
  const before = nowMs(state.registers) - state.limits.dedupeWindowMs
  let budget = evictedMax
  while (dedupe.oldest !== 0 && budget > 0 && dedupe.rows.getU64(dedupe.oldest, DedupeField.atMs) < before) {
    evictOldest(dedupe)
    budget--
  }
}

/** Makes room for `count` rows; false, and nothing changed, when that would evict what a client may still retry. */
export function tryReserve(state: State, count: number): boolean {
  const { dedupe, limits } = state
  const missing = dedupe.rows.count + count - limits.dedupeRowsMax
  if (missing <= 0) return true
  const before = nowMs(state.registers) - limits.dedupeKeepMs
  let row = dedupe.oldest
  for (let i = 0; i < missing; i++) {
    if (row === 0 || dedupe.rows.getU64(row, DedupeField.atMs) >= before) return false
    row = dedupe.rows.get(row, DedupeField.younger)
  }
  for (let i = 0; i < missing; i++) evictOldest(dedupe)
  return true
}

/** Remembers a message. The caller has reserved. */
export function rememberSent(
  state: State,
  sent: { dedupeKey: DedupeKey; fingerprint: Hash64; topicId: number; queueId: number; offset: number },
): void {
  const { dedupe, registers } = state
  const { rows } = dedupe
  const row = rows.allocate()
  rows.setU64(row, DedupeField.order, registers.row.nextDedupe++)
  registers.table.changed(registers.row)
  rows.set(row, DedupeField.keyALow, sent.dedupeKey.a.low)
  rows.set(row, DedupeField.keyAHigh, sent.dedupeKey.a.high)
  rows.set(row, DedupeField.keyBLow, sent.dedupeKey.b.low)
  rows.set(row, DedupeField.keyBHigh, sent.dedupeKey.b.high)
  rows.set(row, DedupeField.fingerprintLow, sent.fingerprint.low)
  rows.set(row, DedupeField.fingerprintHigh, sent.fingerprint.high)
  rows.set(row, DedupeField.topic, sent.topicId)
  rows.set(row, DedupeField.queue, sent.queueId)
  rows.setU64(row, DedupeField.offset, sent.offset)
  rows.setU64(row, DedupeField.atMs, nowMs(registers))
  append(dedupe, row)
}

/** Links loaded rows: by age, which their order number is. */
export function linkDedupe(dedupe: Dedupe): void {
  const { rows } = dedupe
  const handles = rows.handles().sort((a, b) => rows.getU64(a, DedupeField.order) - rows.getU64(b, DedupeField.order))
  for (const row of handles) append(dedupe, row)
}

function append(dedupe: Dedupe, row: number): void {
  const { rows, byMessage, byKey } = dedupe
  byMessage.insert(row, messageHashOf(rows, row))
  const before = youngestOf(dedupe, keyOf(rows, row))
  if (before !== 0) byKey.remove(before, keyHashOf(rows, before))
  byKey.insert(row, keyHashOf(rows, row))
  if (dedupe.youngest === 0) dedupe.oldest = row
  else rows.set(dedupe.youngest, DedupeField.younger, row)
  dedupe.youngest = row
}

function evictOldest(dedupe: Dedupe): void {
  const { rows, byMessage, byKey } = dedupe
  const row = dedupe.oldest
  dedupe.oldest = rows.get(row, DedupeField.younger)
  if (dedupe.oldest === 0) dedupe.youngest = 0
  byMessage.remove(row, messageHashOf(rows, row))
  if (youngestOf(dedupe, keyOf(rows, row)) === row) byKey.remove(row, keyHashOf(rows, row))
  rows.remove(row)
}

/** The youngest row with this key, 0 = none. */
function youngestOf({ rows, byKey }: Dedupe, dedupeKey: DedupeKey): number {
  let row = byKey.first(keyHash(dedupeKey.a.low, dedupeKey.b.low))
  while (row !== 0 && !hasKey(rows, row, dedupeKey)) row = byKey.next(row)
  return row
}

function keyOf(rows: RowTable, row: number): DedupeKey {
  return {
    a: { low: rows.getU32(row, DedupeField.keyALow), high: rows.getU32(row, DedupeField.keyAHigh) },
    b: { low: rows.getU32(row, DedupeField.keyBLow), high: rows.getU32(row, DedupeField.keyBHigh) },
  }
}

function keyHashOf(rows: RowTable, row: number): number {
  return keyHash(rows.get(row, DedupeField.keyALow), rows.get(row, DedupeField.keyBLow))
}

function messageHashOf(rows: RowTable, row: number): number {
  return messageHash(rows.get(row, DedupeField.keyALow), rows.get(row, DedupeField.keyBLow), rows.get(row, DedupeField.fingerprintLow))
}

function keyHash(aLow: number, bLow: number): number {
  return mix(mix(0, aLow), bLow)
}

function messageHash(aLow: number, bLow: number, fingerprintLow: number): number {
  return mix(keyHash(aLow, bLow), fingerprintLow)
}

function hasKey(rows: RowTable, row: number, dedupeKey: DedupeKey): boolean {
  return (
    rows.getU32(row, DedupeField.keyALow) === dedupeKey.a.low &&
    rows.getU32(row, DedupeField.keyAHigh) === dedupeKey.a.high &&
    rows.getU32(row, DedupeField.keyBLow) === dedupeKey.b.low &&
    rows.getU32(row, DedupeField.keyBHigh) === dedupeKey.b.high
  )
}

function hasFingerprint(rows: RowTable, row: number, fingerprint: Hash64): boolean {
  return (
    rows.getU32(row, DedupeField.fingerprintLow) === fingerprint.low && rows.getU32(row, DedupeField.fingerprintHigh) === fingerprint.high
  )
}
