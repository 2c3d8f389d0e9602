/**
 * Checkpoints (rule 10): the rows that changed, with their canonical bytes; and the way back. A restored state has the same rows and builds lists,
 * heaps, locks and indexes again from them, each in the order that the rows' content gives: so it goes on exactly like one that never restarted.
 */
import { mustExist } from '../platform/assert.ts'
import type { Cursor, Place } from './cursors.ts'
import { linkDedupe } from './dedupe.ts'
import { DigestSum, digestText, hashWords, sameDigest } from './digest.ts'
import { addOutstanding, joinLock } from './fifo-locks.ts'
import { findClient } from './clients.ts'
import { attemptHashOf, hasFlag, isOutstanding, keyHashOf, RowField, RowFlag, RowState, stateOf } from './in-flight.ts'
import type { State } from './state.ts'
import type { LoadedCheckpoint } from './store.ts'
import { linkLast } from './tables/links.ts'
import { CheckpointSink, type StateTable } from './tables/words.ts'
import type { Digest } from './command.ts'

/** All tables, in the order in which a restore must load them: a queue needs its topic, a row its place. */
export function tablesOf(state: State): readonly StateTable[] {
  return [
    state.registers.table,
    state.topics.table,
    state.topics.queueTable,
    state.carried,
    state.groups.table,
    state.places.table,
    state.places.cursorTable,
    state.nodes.table,
    state.membership.table,
    state.clients.table,
    state.inFlight.rows,
    state.dedupe.table,
  ]
}

/** What changed since the last call. */
export function collectChanges(state: State): CheckpointSink {
  const sink = new CheckpointSink()
  for (const table of tablesOf(state)) table.collect(sink)
  return sink
}

/** The digest from the rows alone, trusting no hash kept anywhere: the auditor's. */
export function recomputeDigest(state: State): Digest {
  const sum = new DigestSum()
  const hash = new Int32Array(4)
  for (const table of tablesOf(state)) {
    table.forEachRow((words, at, count) => {
      hashWords(table.tag, words, at, count, hash, 0)
      sum.add(hash, 0)
    })
  }
  return sum.read()
}

/** Fills an empty state. A sentence, and a state to be thrown away, when the rows are not a state or not the one that was saved. */
export function loadRows(state: State, checkpoint: LoadedCheckpoint): string | undefined {
  const byTag = new Map<number, { readonly key: Uint8Array; readonly value: Uint8Array }[]>()
  for (const row of checkpoint.rows) {
    const tag = row.key[0] ?? 0
    const list = byTag.get(tag)
    if (list === undefined) byTag.set(tag, [row])
    else list.push(row)
  }
  for (const table of tablesOf(state)) {
    for (const { key, value } of byTag.get(table.tag) ?? []) {
      const problem = table.load(key, value)
      if (problem !== undefined) return `checkpoint ${checkpoint.number}: ${problem} (table ${table.tag})`
    }
    const problem = table.finishLoad?.()
    if (problem !== undefined) return `checkpoint ${checkpoint.number}: ${problem} (table ${table.tag})`
    byTag.delete(table.tag)
  }
  for (const tag of byTag.keys()) return `checkpoint ${checkpoint.number}: table ${tag} is unknown`
  // First the digest: what is not the state that was saved must not be linked.
  const digest = recomputeDigest(state)
  if (!sameDigest(digest, checkpoint.digest)) {
    return `checkpoint ${checkpoint.number}: its rows have the digest ${digestText(digest)}, it was saved with ${digestText(checkpoint.digest)}`
  }
  linkDedupe(state.dedupe)
  linkRows(state)
  state.inFlight.rows.forgetChanges()
  return undefined
}

function linkRows(state: State): void {
  const { rows } = state.inFlight
  const all = rows.handles()
  for (const row of sortedBy(all, row => rows.getU64(row, RowField.offset))) linkRow(state, row)
  const delivered = all.filter(row => isOutstanding(rows, row) && isLinkedToClient(state, row))
  for (const row of sortedBy(delivered, row => rows.getU64(row, RowField.sequence))) linkClient(state, row)
  for (const row of sortedBy(all, row => rows.getU64(row, RowField.order))) linkOrder(state, row)
}

function sortedBy(handles: readonly number[], valueOf: (row: number) => number): number[] {
  return [...handles].sort((a, b) => valueOf(a) - valueOf(b))
}

/** Place, cursor, key index, lock, heap and counters. Rows come by offset. */
function linkRow(state: State, row: number): void {
  const { rows, byKey, byAttempt, heap } = state.inFlight
  const place = placeOf(state, row)
  const cursor = place.cursors[rows.getU32(row, RowField.queue)] as Cursor
  rows.set(row, RowField.place, place.slot)
  byKey.insert(row, keyHashOf(rows, row))
  linkLast(rows, cursor.rows, row, RowField.queueLinks)
  place.group.rowCount++
  const lock = place.group.isFifo ? joinLock(state, place, row) : 0
  if (isOutstanding(rows, row)) {
    place.outstandingCount++
    if (lock !== 0) addOutstanding(state.locks, lock, 1)
    heap.put(row, rows.getU64(row, RowField.deadline))
    if (hasFlag(rows, row, RowFlag.hasAttemptId)) byAttempt.insert(row, attemptHashOf(rows, row))
  } else if (stateOf(rows, row) === RowState.ready) place.readyCount++
  else place.blockedCount++
}

function placeOf(state: State, row: number): Place {
  const { rows } = state.inFlight
  const group = state.groups.byId.get(rows.getU32(row, RowField.group))
  return mustExist(group?.places.get(rows.getU32(row, RowField.topic)), 'restored-place', row)
}

function isLinkedToClient(state: State, row: number): boolean {
  const { rows } = state.inFlight
  return rows.get(row, RowField.clientLow) !== 0 || rows.get(row, RowField.clientHigh) !== 0
}

function linkClient(state: State, row: number): void {
  const { rows } = state.inFlight
  const hash = { low: rows.getU32(row, RowField.clientLow), high: rows.getU32(row, RowField.clientHigh) }
  const client = mustExist(findClient(state, hash), 'restored-client', row)
  rows.set(row, RowField.clientSlot, client.slot)
  linkLast(rows, client.rows, row, RowField.clientLinks)
}

/** The ready list, or the gateway's list of unconfirmed ones. Rows come by their order number. */
function linkOrder(state: State, row: number): void {
  const { rows } = state.inFlight
  const rowState = stateOf(rows, row)
  if (rowState === RowState.ready) linkLast(rows, placeOf(state, row).ready, row, RowField.orderLinks)
  if (rowState !== RowState.unconfirmed) return
  const gateway = mustExist(state.nodes.byNumber.get(rows.getU32(row, RowField.gateway)), 'restored-gateway', row)
  linkLast(rows, gateway.unconfirmed, row, RowField.orderLinks)
}
