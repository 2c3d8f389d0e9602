/**
 * Reads a node's log from its true disk, with what was never synced left out: what would be there after a power cut at this moment.
 * Written from the description of the record format (docs and src/storage/record.ts head), sharing no code with the log it checks.
 *
 * It walks forward entry by entry from places it has proved. A proved entry was committed when it was proved, so nobody may ever rewrite it.
 */
import { crc32c, crc32cOf } from '../src/platform/bytes.ts'
import type { TrueLog } from './checkers/checker.ts'

/** The durable side of a simulated disk. */
export interface DurableFiles {
  /** The bytes that a power cut would leave for certain; undefined when the file's name is not durable. A view. */
  durableBytes(path: string): Uint8Array | undefined
}

interface Place {
  readonly file: string
  /** Behind the record. */
  readonly end: number
  readonly headerCrc: number
  readonly term: number
}

const headerBytes = 48
const segmentHeaderBytes = 512
const baseHeadBytes = 72

function isWholeBase(copy: Uint8Array): boolean {
  if (copy.length < baseHeadBytes) return false
  const view = new DataView(copy.buffer, copy.byteOffset, baseHeadBytes)
  const body = copy.subarray(baseHeadBytes, baseHeadBytes + view.getUint32(64, true))
  return crc32cOf([copy.subarray(0, 68), body]) === view.getUint32(68, true)
}

export class DiskLog implements TrueLog {
  readonly #files: DurableFiles
  readonly #directory: string
  /** `#proved[i]` is entry i + 1; with holes where entries were deleted unseen. */
  readonly #proved: (Place | undefined)[] = []

  constructor(files: DurableFiles, directory: string) {
    this.#files = files
    this.#directory = directory
  }

  /** The node has installed a snapshot: its log is in other files. */
  forget(): void {
    this.#proved.length = 0
  }

  durableTo(index: number, term: number): boolean {
    const known = this.#proved[index - 1]
    if (known !== undefined) return known.term === term
    const found: Place[] = []
    let previous = this.#proved.at(-1)
    let first = this.#proved.length + 1
    const base = this.#readBase()
    // Retention has deleted what comes next: it goes on behind the last entry that is gone.
    if (base !== undefined && base.index >= first) {
      previous = base.place
      first = base.index + 1
    }
    for (let next = first; next <= index; next += 1) {
      const place = this.#read(previous, next)
      if (place === undefined) return false
      found.push(place)
      previous = place
    }
    if (previous?.term !== term) return false
    found.forEach((place, i) => (this.#proved[first - 1 + i] = place))
    return true
  }

  /** `base`, twice in its file:  8 index u64 | 16 term u64 | 32 headerCrc u32 | 64 length of its body u32 | 68 crc u32 (of all else) | 72 its body */
  #readBase(): { readonly index: number; readonly place: Place } | undefined {
    const file = this.#files.durableBytes(`${this.#directory}/base`)
    const half = (file?.length ?? 0) / 2
    const bytes = [file?.subarray(0, half), file?.subarray(half)].find(copy => copy !== undefined && isWholeBase(copy))
    if (bytes === undefined) return undefined
    const view = new DataView(bytes.buffer, bytes.byteOffset, baseHeadBytes)
    const long = (at: number): number => view.getUint32(at, true) + view.getUint32(at + 4, true) * 4_294_967_296
    return { index: long(8), place: { file: '', end: 0, headerCrc: view.getUint32(32, true), term: long(16) } }
  }

  #read(previous: Place | undefined, index: number): Place | undefined {
    if (previous !== undefined) {
      const here = this.#readAt(previous.file, previous.end, previous, index)
      if (here !== undefined) return here
    }
    return this.#readAt(`${this.#directory}/${String(index).padStart(20, '0')}.log`, segmentHeaderBytes, previous, index)
  }

  #readAt(file: string, position: number, previous: Place | undefined, index: number): Place | undefined {
    const bytes = this.#files.durableBytes(file)
    if (bytes === undefined || position + headerBytes > bytes.length) return undefined
    const view = new DataView(bytes.buffer, bytes.byteOffset + position, headerBytes)
    const headerCrc = view.getUint32(40, true)
    if (crc32c(bytes.subarray(position, position + 40)) !== headerCrc) return undefined
    const long = (at: number): number => view.getUint32(at, true) + view.getUint32(at + 4, true) * 4_294_967_296
    if (long(16) !== index || view.getUint32(32, true) !== (previous?.headerCrc ?? 0)) return undefined
    const end = position + headerBytes + view.getUint32(0, true)
    if (end > bytes.length || crc32c(bytes.subarray(position + headerBytes, end)) !== view.getUint32(36, true)) return undefined
    return { file, end, headerCrc, term: long(8) }
  }
}
