/**
 * The single numbers of the state: its clock and its counters. One row.
 *
 * Two times: `wallMs` is the last entry's stamp, calendar time as the leader told it. `nowMs` is the same without the leaps (rule 4: a leap is an
 * entry of its own): it is what durations are measured with, so that a corrected clock neither ends every lease at once nor ages a message id
 * out of the deduplication window while its client still retries. Both never go back.
 */
import { oldestLevel } from './feature-level.ts'
import { type Cell, CellTable, newMark } from './tables/cell-table.ts'
import { WordReader } from './tables/words.ts'
import { tags } from './state.ts'

export interface RegisterRow extends Cell {
  wallMs: number
  /** Sum of all leaps. */
  leapMs: number
  nextTopicId: number
  nextGroupId: number
  nextDeliverySequence: number
  /** Numbers what must keep an order: rows becoming visible, unconfirmed deliveries of a gateway. */
  nextOrder: number
  /** Numbers the rows of the deduplication table. */
  nextDedupe: number
  /** Messages that came with the id of another, different message (rule 5). */
  idCollisions: number
  /** No entry below is needed any more (rule 9). */
  logFirst: number
  /** What the group has agreed on (feature-level.ts). Only grows. */
  featureLevel: number
}

export interface Registers {
  readonly row: RegisterRow
  readonly table: CellTable<RegisterRow>
}

export function newRegisters(): Registers {
  const row: RegisterRow = {
    wallMs: 0,
    leapMs: 0,
    nextTopicId: 1,
    nextGroupId: 1,
    nextDeliverySequence: 1,
    nextOrder: 1,
    nextDedupe: 1,
    idCollisions: 0,
    logFirst: 1,
    featureLevel: oldestLevel,
    mark: newMark(),
  }
  const table = new CellTable<RegisterRow>({
    tag: tags.registers,
    writeKey: () => undefined,
    writeValue: (r, out) =>
      void out
        .u64(r.wallMs)
        .u64(r.leapMs)
        .u64(r.nextTopicId)
        .u64(r.nextGroupId)
        .u64(r.nextDeliverySequence)
        .u64(r.nextOrder)
        .u64(r.nextDedupe)
        .u64(r.idCollisions)
        .u64(r.logFirst)
        .u64(r.featureLevel),
    load: (_key, value) => {
      const reader = new WordReader().open(value, 0)
      row.wallMs = reader.u64()
      row.leapMs = reader.u64()
      row.nextTopicId = reader.u64()
      row.nextGroupId = reader.u64()
      row.nextDeliverySequence = reader.u64()
      row.nextOrder = reader.u64()
      row.nextDedupe = reader.u64()
      row.idCollisions = reader.u64()
      row.logFirst = reader.u64()
      row.featureLevel = reader.u64()
      row.mark.isStored = true
      return reader.end()
    },
  })
  table.add(row)
  return { row, table }
}

/** Time for durations: calendar time without its leaps. */
export function nowMs(registers: Registers): number {
  return registers.row.wallMs - registers.row.leapMs
}

/** Calendar time of a moment of `nowMs` time, as far as can be foreseen. */
export function toWallMs(registers: Registers, ms: number): number {
  return ms + registers.row.leapMs
}

/** Time goes on to an entry's stamp; never back. A leap moves the calendar only. */
export function advanceTime(registers: Registers, wallMs: number, isLeap: boolean): void {
  const row = registers.row
  if (wallMs <= row.wallMs) return
  if (isLeap && row.wallMs > 0) row.leapMs += wallMs - row.wallMs
  row.wallMs = wallMs
  registers.table.changed(row)
}

export function takeDeliverySequence(registers: Registers): number {
  registers.table.changed(registers.row)
  return registers.row.nextDeliverySequence++
}

export function takeOrder(registers: Registers): number {
  registers.table.changed(registers.row)
  return registers.row.nextOrder++
}
