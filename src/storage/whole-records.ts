/** Looks for records among bytes of which only some are any: behind a hole in a segment, byte by byte. What is found is whole; what it belongs to is not asked. */
import { viewOf } from '../platform/bytes.ts'
import type { DiskFile } from '../platform/disk.ts'
import {
  checkRecordAlone,
  checkRecordBody,
  linkOf,
  mayBeRecord,
  recordBytes,
  recordHeaderBytes,
  recordIndex,
  type ChainLink,
} from './record.ts'
import { chainedBytes, ReadWindow } from './segment-scan.ts'

/** How far behind a hole a whole record is looked for. */
const searchBytesMax = 16 * 1024 * 1024

interface WholeRecord {
  readonly link: ChainLink
  /** Behind it. */
  readonly endPosition: number
}

/** The next whole record of an entry after `afterIndex`, which ends before `position`, where a record should begin that is none. */
function nextWholeRecord(file: DiskFile, position: number, afterIndex: number): WholeRecord | undefined {
  const bytes = new Uint8Array(Math.max(0, Math.min(searchBytesMax, file.sizeBytes() - position)))
  const count = file.readSync(bytes, position)
  const view = viewOf(bytes)
  for (let at = 1; at + recordHeaderBytes <= count; at++) {
    if (!mayBeRecord(view, at) || checkRecordAlone(bytes, view, at) !== undefined) continue
    const index = recordIndex(view, at)
    const isPossible = index > afterIndex + 1 && index - afterIndex <= at / recordHeaderBytes + 1
    if (isPossible && checkRecordBody(bytes, view, at, count) === undefined)
      return { link: linkOf(view, at), endPosition: position + at + recordBytes(view, at) }
  }
  return undefined
}

/** The next whole record, if it is followed for longer than one flush can be: then whatever stood before it was synced (recovery-verdict.ts). */
export function nextFlushedRecord(file: DiskFile, position: number, afterIndex: number, flushBytesMax: number): ChainLink | undefined {
  const next = nextWholeRecord(file, position, afterIndex)
  if (next === undefined) return undefined
  return chainedBytes(new ReadWindow(file), next.endPosition, next.link) < flushBytesMax ? undefined : next.link
}

/** The last entry that has a whole record, from the place where the one after `index` should begin; `index` when there is none. */
export function lastWholeRecord(file: DiskFile, from: { readonly position: number; readonly index: number }): number {
  const window = new ReadWindow(file)
  let { position, index } = from
  for (;;) {
    const step = window.recordAlone(position)
    const next =
      step.problem === undefined ? { link: step.link, endPosition: position + step.size } : nextWholeRecord(file, position, index)
    if (next === undefined) return index
    index = Math.max(index, next.link.index)
    position = next.endPosition
  }
}
