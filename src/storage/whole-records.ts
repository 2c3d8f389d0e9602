/** Looks for records among bytes of which only some are any: behind a hole in a segment, byte by byte. What is found is whole; what it belongs to is not asked. */
import { viewOf } from '../platform/bytes.ts'
import type { DiskFile } from '../platform/disk.ts'
import { checkRecordAlone, checkRecordBody, mayBeRecord, recordBytes, recordHeaderBytes, recordIndex } from './record.ts'
import { ReadWindow } from './segment-scan.ts'

/** How far behind a hole a whole record is looked for. */
const searchBytesMax = 16 * 1024 * 1024

export interface WholeRecord {
  readonly index: number
  /** Behind it. */
  readonly endPosition: number
}

/** The next whole record of an entry after `afterIndex`, which ends before `position`, where a record should begin that is none. */
export function nextWholeRecord(file: DiskFile, position: number, afterIndex: number): WholeRecord | undefined {
  const bytes = new Uint8Array(Math.max(0, Math.min(searchBytesMax, file.sizeBytes() - position)))
  const count = file.readSync(bytes, position)
  const view = viewOf(bytes)
  for (let at = 1; at + recordHeaderBytes <= count; at++) {
    if (!mayBeRecord(view, at) || checkRecordAlone(bytes, view, at) !== undefined) continue
    const index = recordIndex(view, at)
    const isPossible = index > afterIndex + 1 && index - afterIndex <= at / recordHeaderBytes + 1
    if (isPossible && checkRecordBody(bytes, view, at, count) === undefined)
      return { index, endPosition: position + at + recordBytes(view, at) }
  }
  return undefined
}

/** The last entry that has a whole record, from the place where the one after `index` should begin; `index` when there is none. */
export function lastWholeRecord(file: DiskFile, from: { readonly position: number; readonly index: number }): number {
  const window = new ReadWindow(file)
  let { position, index } = from
  for (;;) {
    const step = window.recordAlone(position)
    const next =
      step.problem === undefined ? { index: step.link.index, endPosition: position + step.size } : nextWholeRecord(file, position, index)
    if (next === undefined) return index
    index = Math.max(index, next.index)
    position = next.endPosition
  }
}
