/** Doubly linked lists of rows through two link words. Every list here has an order that the rows' content gives, so that a restore can build it again. */
import type { RowTable } from './row-table.ts'

/** Ends of a list; 0 = empty. */
export interface RowList {
  head: number
  tail: number
}

export function emptyList(): RowList {
  return { head: 0, tail: 0 }
}

/** Appends; `next` is the field before `previous + 1`: the two link words stand side by side. */
export function linkLast(rows: RowTable, list: RowList, handle: number, previous: number): void {
  rows.set(handle, previous, list.tail)
  rows.set(handle, previous + 1, 0)
  if (list.tail === 0) list.head = handle
  else rows.set(list.tail, previous + 1, handle)
  list.tail = handle
}

export function unlink(rows: RowTable, list: RowList, handle: number, previous: number): void {
  const before = rows.get(handle, previous)
  const after = rows.get(handle, previous + 1)
  if (before === 0) list.head = after
  else rows.set(before, previous + 1, after)
  if (after === 0) list.tail = before
  else rows.set(after, previous, before)
  rows.set(handle, previous, 0)
  rows.set(handle, previous + 1, 0)
}
