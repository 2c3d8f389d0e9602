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
export const slotPositions = [0, 4096] as const

export class DiskVote implements TrueVote {
  readonly #files: DurableFiles
  readonly #path: string
  damages = 0
  /** The bytes of both slots when they were read last, and what they said: most of the time they are the same when asked again. */
  readonly #known = new Uint8Array(slotPositions.length * slotBytes)
  #knownBytes = -1
  #knownSlots: readonly TermAndVote[] = []

  constructor(files: DurableFiles, path: string) {
    this.#files = files
    this.#path = path
  }

  read(): TermAndVote | undefined {
    return this.#slots().at(-1)
  }

  readWorst(): TermAndVote | undefined {
    const slots = this.#slots()
    return slots.length === slotPositions.length ? slots[0] : undefined
  }

  /** One of its two slots is readable, the other is not. */
  hasLostSlot(): boolean {
    return this.#goodSlots().length === 1
  }

  /** The newest last. */
  #slots(): readonly TermAndVote[] {
    const bytes = this.#files.honestBytes?.(this.#path) ?? this.#files.durableBytes(this.#path)
    if (this.#isUnchanged(bytes)) return this.#knownSlots
    this.#knownSlots = this.#goodSlots(bytes)
      .map(slot => {
        const long = (at: number): number => slot.getUint32(at, true) + slot.getUint32(at + 4, true) * 4_294_967_296
        const votedFor = slot.getUint32(56, true)
        return { counter: long(8), term: long(16), votedFor: votedFor === 0 ? undefined : votedFor }
      })
      .sort((left, right) => left.counter - right.counter)
    return this.#knownSlots
  }

  /** Compares every byte of both slots with those that were read last, and keeps them. */
  #isUnchanged(bytes: Uint8Array | undefined): boolean {
    const length = bytes?.length ?? 0
    let isSame = length === this.#knownBytes
    this.#knownBytes = length
    if (bytes === undefined) return isSame
    const known = this.#known
    for (const [slot, position] of slotPositions.entries()) {
      for (let i = 0; i < slotBytes; i += 1) {
        const byte = bytes[position + i] ?? 0
        if (known[slot * slotBytes + i] === byte) continue
        known[slot * slotBytes + i] = byte
        isSame = false
      }
    }
    return isSame
  }

  #goodSlots(bytes = this.#files.durableBytes(this.#path)): readonly DataView[] {
    if (bytes === undefined) return []
    return slotPositions
      .filter(position => position + slotBytes <= bytes.length)
      .map(position => ({
        slot: bytes.subarray(position, position + slotBytes),
        view: new DataView(bytes.buffer, bytes.byteOffset + position, slotBytes),
      }))
      .filter(({ slot, view }) => crc32c(slot.subarray(0, crcAt)) === view.getUint32(crcAt, true))
      .map(({ view }) => view)
  }
}
