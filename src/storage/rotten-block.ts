/**
 * What is left of a block in which something has rotted: pieces of whole records, and the holes between them. Pure; intact blocks never come here.
 *
 *   [ 19 ][ 20: body ][ 21 ][ 22: header ··· ][ 24 ]        pieces 19, 21 and 24; holes 20 and 22..23
 *
 * A record counts when its checksums are good and it is proved to be the one of this log:
 *   by its place   it stands where the record before it ends (or the block begins), fits that one where that is known, and has the index and the term that the
 *                  log has there: two entries of one index and one term are one entry
 *   by the chain   behind a header that says nothing any more it is not known where the next record begins. What is found there counts when headers follow
 *                  one another from it to exactly the block's end, and what stands behind the block follows the last of them
 * The body of a message may hold bytes that look like records: these end nowhere, or what follows contradicts them.
 */
import {
  checkRecordAlone,
  checkRecordBody,
  mayBeRecord,
  recordBodyBytes,
  recordBytes,
  recordHeaderBytes,
  recordHeaderCrc,
  recordIndex,
  recordPrevCrc,
  recordTerm,
} from './record.ts'
import type { RecordProblem } from './record.ts'

export interface RottenBlock {
  /** From the first record's first byte to the last one's last; `view` is the same memory. */
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Bytes of it that could be read: the file may be shorter. */
  readonly count: number
  readonly firstIndex: number
  /** Of the record behind the block. */
  readonly endIndex: number
  /** The checksum that what stands behind the block follows; undefined when that can't be read. */
  readonly endCrc: number | undefined
  /** The term of an entry, as the log has it. */
  readonly termOf: (index: number) => number | undefined
}

/** Entries, and the bytes of the block that they fill, or did. */
export interface BlockRange {
  readonly firstIndex: number
  readonly lastIndex: number
  readonly start: number
  readonly end: number
}

export interface BlockHole extends BlockRange {
  /** Of its first record. */
  readonly problem: RecordProblem
}

export interface BlockRemains {
  readonly pieces: readonly BlockRange[]
  /** At least one, ascending. Records with a good header have a hole each. */
  readonly holes: readonly BlockHole[]
}

/** A place in the block where a record begins, and what it must follow, if that is known. */
interface Place {
  readonly at: number
  readonly index: number
  readonly prevCrc: number | undefined
}

export function remainsOf(block: RottenBlock): BlockRemains {
  const { bytes, view, count, firstIndex, endIndex } = block
  const pieces: BlockRange[] = []
  const holes: BlockHole[] = []
  let place: Place = { at: 0, index: firstIndex, prevCrc: undefined }
  let piece = place
  const endPiece = (): void => {
    if (place.index > piece.index) pieces.push({ firstIndex: piece.index, lastIndex: place.index - 1, start: piece.at, end: place.at })
  }
  while (place.index < endIndex) {
    const header = headerProblem(block, place)
    const problem = header ?? checkRecordBody(bytes, view, place.at, count)
    const behind: Place | undefined = header === undefined ? placeBehind(view, place) : undefined
    if (problem === undefined && behind !== undefined) {
      place = behind
      continue
    }
    endPiece()
    // A body that the block has no room for is none: its header has no say in where the next record begins.
    const next = behind !== undefined && behind.at <= count ? behind : findNext(block, place)
    const hole = { firstIndex: place.index, start: place.at, problem: problem ?? 'cut' }
    if (next === undefined) {
      holes.push({ ...hole, lastIndex: endIndex - 1, end: bytes.length })
      return { pieces, holes }
    }
    holes.push({ ...hole, lastIndex: next.index - 1, end: next.at })
    place = next
    piece = next
  }
  // Records of which each is in order, and which do not fill the block: the index of places is not to be believed, so nothing is.
  if (place.at !== bytes.length)
    return { pieces: [], holes: [{ firstIndex, lastIndex: endIndex - 1, start: 0, end: bytes.length, problem: 'cut' }] }
  endPiece()
  return { pieces, holes }
}

/** Why the header at a place is not the one that belongs there. */
function headerProblem({ bytes, view, count, termOf }: RottenBlock, { at, index, prevCrc }: Place): RecordProblem | undefined {
  if (count - at < recordHeaderBytes) return 'cut'
  const problem = checkRecordAlone(bytes, view, at)
  if (problem !== undefined) return problem
  if (recordIndex(view, at) !== index) return 'index'
  if (recordTerm(view, at) !== termOf(index)) return 'term'
  return prevCrc === undefined || recordPrevCrc(view, at) === prevCrc ? undefined : 'prevCrc'
}

function placeBehind(view: DataView, { at, index }: Place): Place {
  return { at: at + recordBytes(view, at), index: index + 1, prevCrc: recordHeaderCrc(view, at) }
}

/** The first place behind a bad header from which the chain leads to what stands behind the block. */
function findNext(block: RottenBlock, { at, index }: Place): Place | undefined {
  const { bytes, view, count, endIndex, endCrc } = block
  if (endCrc === undefined || count < bytes.length) return undefined
  /** Where chains begin or pass that lead nowhere: none is followed twice. */
  const deadEnds = new Set<number>()
  for (let from = at + recordHeaderBytes; from + recordHeaderBytes <= count; from++) {
    if (!mayBeRecord(view, from)) continue
    const missing = recordIndex(view, from) - index
    if (missing < 1 || missing > (from - at) / recordHeaderBytes || index + missing >= endIndex) continue
    const start: Place = { at: from, index: index + missing, prevCrc: undefined }
    if (leadsToEnd(block, start, deadEnds)) return start
  }
  return undefined
}

function leadsToEnd(block: RottenBlock, start: Place, deadEnds: Set<number>): boolean {
  const { bytes, view, endIndex, endCrc } = block
  let place = start
  while (place.index < endIndex) {
    if (deadEnds.has(place.at) || headerProblem(block, place) !== undefined) return false
    deadEnds.add(place.at)
    if (recordBodyBytes(view, place.at) > bytes.length - place.at - recordHeaderBytes) return false
    place = placeBehind(view, place)
  }
  return place.at === bytes.length && place.prevCrc === endCrc
}
