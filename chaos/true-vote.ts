/**
 * Reads a node's term and vote from its true disk, with what was never synced left out: what a start after a power cut at this moment would find.
 * Written from the description of the format (head of src/storage/hard-state.ts), sharing no code with what it checks.
 */
import { crc32c } from '../src/platform/bytes.ts'
import type { TermAndVote, TrueVote } from './checkers/checker.ts'
import type { DurableFiles } from './true-log.ts'

const slotBytes = 80
/** The checksum of everything before it. */
const crcAt = 76
const slotPositions = [0, 4096]

export class DiskVote implements TrueVote {
  readonly #files: DurableFiles
  readonly #path: string

  constructor(files: DurableFiles, path: string) {
    this.#files = files
    this.#path = path
  }

  read(): TermAndVote | undefined {
    const bytes = this.#files.durableBytes(this.#path)
    if (bytes === undefined) return undefined
    let newest = -1
    let found: TermAndVote | undefined
    for (const position of slotPositions) {
      if (position + slotBytes > bytes.length) continue
      const view = new DataView(bytes.buffer, bytes.byteOffset + position, slotBytes)
      if (crc32c(bytes.subarray(position, position + crcAt)) !== view.getUint32(crcAt, true)) continue
      const long = (at: number): number => view.getUint32(at, true) + view.getUint32(at + 4, true) * 4_294_967_296
      if (long(8) <= newest) continue
      newest = long(8)
      const votedFor = view.getUint32(56, true)
      found = { term: long(16), votedFor: votedFor === 0 ? undefined : votedFor }
    }
    return found
  }
}
