/**
 * Reads a node's log from its true disk, with what was never synced left out: what would be there after a power cut at this moment.
 * Written from the description of the record format (docs and src/storage/record.ts head), sharing no code with the log it checks.
 *
 * It walks forward entry by entry from places it has proved. A proved entry was committed when it was proved, so nobody may ever rewrite it.
 */
import { crc32cOf, crc32cRange } from '../src/platform/bytes.ts'
import type { LostDisk, TrueLog } from './checkers/checker.ts'

/** The durable side of a simulated disk. */
export interface DurableFiles {
  /** The bytes that a power cut would leave for certain; undefined when the file's name is not durable. A view. */
  durableBytes(path: string): Uint8Array | undefined
  /** The same as it was written, where the disk has been harmed since; undefined where it has not. */
  honestBytes?(path: string): Uint8Array | undefined
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
  /** What it held when its node last went down with rot on it. */
  #heldBefore: LostDisk['held'] | undefined

  constructor(files: DurableFiles, directory: string) {
    this.#files = files
    this.#directory = directory
  }

  /** The node has installed a snapshot: its log is in other files. */
  forget(): void {
    this.#proved.length = 0
    this.#heldBefore = undefined
  }

  /**
   * A node starts on a disk that has rotted: it may cut off what can't be told from a torn end, or write it elsewhere. Such an entry has been held all the same,
   * and whoever heard of it while that was so may count it (seed 80002242), as long as no other stands in its place. Returns what ends that: nobody goes by what
   * was said long ago.
   */
  rotted(): () => void {
    const held = this.inventory()
    this.forget()
    this.#heldBefore = held
    return () => {
      if (this.#heldBefore === held) this.#heldBefore = undefined
    }
  }

  /** Which entries the disk holds now, for the time when it is gone. */
  inventory(): LostDisk['held'] {
    const before = this.#heldBefore
    const terms = this.#proved.map(place => place?.term)
    const { first, previous } = this.#start()
    let place = this.#read(previous, first)
    for (let index = first; place !== undefined; place = this.#read(place, index)) {
      terms[index - 1] = place.term
      index += 1
    }
    return (index, term) => terms[index - 1] === term || (terms[index - 1] === undefined && before?.(index, term) === true)
  }

  get provedTo(): number {
    return this.#proved.length
  }

  durableTo(index: number, term: number): boolean {
    const known = this.#proved[index - 1]
    if (known !== undefined) return known.term === term
    const found: Place[] = []
    const { first, previous: before } = this.#start()
    let previous = before
    for (let next = first; next <= index; next += 1) {
      const place = this.#read(previous, next)
      if (place === undefined) return this.#heldBefore?.(index, term) === true
      found.push(place)
      previous = place
    }
    if (previous?.term !== term) return false
    found.forEach((place, i) => (this.#proved[first - 1 + i] = place))
    return true
  }

  /** The same without taking it for proved: what is not committed may still be rewritten. */
  holdsNow(index: number, term: number): boolean {
    const known = this.#proved[index - 1]
    if (known !== undefined) return known.term === term
    const { first, previous } = this.#start()
    let place = previous
    for (let next = first; next <= index; next += 1) {
      place = this.#read(place, next)
      if (place === undefined) return false
    }
    return place?.term === term
  }

  /**
   * Behind the last whole record stands something that is no record: a write was torn. What has only rotted there was never written; and where a write was lost
   * that had been acknowledged, so that zeros stand in the place of a record, nobody can see what comes after (docs/decisions/0011).
   */
  endsTorn(): boolean {
    const { first, previous } = this.#start()
    let last = previous
    for (let next = first; ; next += 1) {
      const place = this.#read(last, next)
      if (place === undefined) break
      if (last !== undefined && this.#looksLikeEnd(last) && place.file === last.file) return false
      last = place
    }
    if (last === undefined || last.file === '') return false
    const bytes = this.#files.honestBytes?.(last.file) ?? this.#files.durableBytes(last.file)
    const behind = bytes?.subarray(last.end, last.end + headerBytes)
    return behind?.some(byte => byte !== 0) === true
  }

  #looksLikeEnd({ file, end }: Place): boolean {
    const behind = this.#files.durableBytes(file)?.subarray(end, end + headerBytes)
    return behind?.every(byte => byte === 0) !== false
  }

  /** Where to read on: behind what is proved, or, where retention has deleted what comes next, behind the last entry that is gone. */
  #start(): { readonly first: number; readonly previous: Place | undefined } {
    const first = this.#proved.length + 1
    const base = this.#readBase()
    if (base !== undefined && base.index >= first) return { first: base.index + 1, previous: base.place }
    return { first, previous: this.#proved.at(-1) }
  }

  /** `base`, twice in its file:  8 index u64 | 16 term u64 | 32 headerCrc u32 | 64 length of its body u32 | 68 crc u32 (of all else) | 72 its body */
  #readBase(): { readonly index: number; readonly place: Place } | undefined {
    const file = this.#files.durableBytes(`${this.#directory}/base`)
    const half = (file?.length ?? 0) / 2
    const bytes = [file?.subarray(0, half), file?.subarray(half)].find(copy => copy !== undefined && isWholeBase(copy))
    if (bytes === undefined) return undefined
    return { index: u64(bytes, 8), place: { file: '', end: 0, headerCrc: u32(bytes, 32), term: u64(bytes, 16) } }
  }

  #read(previous: Place | undefined, index: number): Place | undefined {
    if (previous !== undefined) {
      const here = this.#readAt(previous.file, previous.end, previous, index)
      if (here !== undefined) return here
    }
    return this.#readAt(`${this.#directory}/${String(index).padStart(20, '0')}.log`, segmentHeaderBytes, previous, index)
  }

  /** What has rotted since it was written counts as held: the node must not count it as "never had" either, and gets it from a peer. */
  #readAt(file: string, position: number, previous: Place | undefined, index: number): Place | undefined {
    const bytes = this.#files.durableBytes(file)
    if (bytes === undefined || position + headerBytes > bytes.length) return undefined
    const place = readPlace(bytes, file, position, previous, index)
    if (place !== undefined) return place
    const honest = this.#files.honestBytes?.(file)
    return honest && readPlace(honest, file, position, previous, index)
  }
}

function readPlace(bytes: Uint8Array, file: string, position: number, previous: Place | undefined, index: number): Place | undefined {
  const headerCrc = u32(bytes, position + 40)
  if (crc32cRange(bytes, position, position + 40) !== headerCrc) return undefined
  if (u64(bytes, position + 16) !== index || u32(bytes, position + 32) !== (previous?.headerCrc ?? 0)) return undefined
  const end = position + headerBytes + u32(bytes, position)
  if (end > bytes.length || crc32cRange(bytes, position + headerBytes, end) !== u32(bytes, position + 36)) return undefined
  return { file, end, headerCrc, term: u64(bytes, position + 8) }
}

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
}

function u64(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) + u32(bytes, at + 4) * 4_294_967_296
}
