/**
 * Reads protobuf fields one by one, building nothing: after `next()` the field's number and wire type are here, its content as a range of the
 * same bytes or as an integer. Never throws and never reads outside its range; the first thing that is not protobuf sets `problem` and ends
 * the fields. Groups (wire types 3 and 4, out of use since 2008) count as garbage.
 */
import { textKind, textOf } from './text.ts'

export const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const
export type WireType = (typeof WireType)[keyof typeof WireType]

const twoTo32 = 0x1_0000_0000

export class FieldReader {
  readonly bytes: Uint8Array
  /** Why the bytes are not protobuf; undefined as long as they are. */
  problem: string | undefined = undefined
  /** Number of the field that `next` found. */
  field = 0
  wireType: WireType = WireType.varint
  /** Where the field begins, tag included. */
  fieldStart = 0
  /** Content of a `bytes` field: `start` up to `end`. For the other wire types `end` is where the field ends. */
  start = 0
  end = 0
  /** Content of a varint field, as two unsigned halves. */
  low = 0
  high = 0
  #position: number
  #limit: number

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes
    this.#position = start
    this.#limit = end
  }

  /** Begins anew on another range of the same bytes, so that one reader serves many submessages. */
  reset(start: number, end: number): void {
    this.problem = undefined
    this.#position = start
    this.#limit = end
  }

  /** Moves to the next field; false at the end, and after a problem. */
  next(): boolean {
    if (this.#position >= this.#limit || this.problem !== undefined) return false
    this.fieldStart = this.#position
    if (!this.#readVarint()) return this.#fail('a tag is cut off or too long')
    if (this.high !== 0) return this.#fail('a field number is too large')
    this.field = this.low >>> 3
    if (this.field === 0) return this.#fail('a field has number 0')
    switch (this.low & 7) {
      case WireType.varint:
        this.wireType = WireType.varint
        if (!this.#readVarint()) return this.#fail('an integer is cut off or too long')
        this.start = this.end = this.#position
        return true
      case WireType.bytes:
        this.wireType = WireType.bytes
        if (!this.#readVarint()) return this.#fail('a length is cut off or too long')
        return this.#take(this.high * twoTo32 + this.low)
      case WireType.fixed32:
        this.wireType = WireType.fixed32
        return this.#take(4)
      case WireType.fixed64:
        this.wireType = WireType.fixed64
        return this.#take(8)
      default:
        return this.#fail('a field has an unknown wire type')
    }
  }

  /** The varint as an int32, as protobuf cuts it. */
  get int32(): number {
    return this.low | 0
  }

  /** The varint as an int64; not a safe integer when it is 2^53 or more away from 0. */
  get int64(): number {
    return (this.high | 0) * twoTo32 + this.low
  }

  /** The varint as an int32, or a problem when the field is no varint. */
  takeInt32(): number {
    if (this.wireType === WireType.varint) return this.int32
    this.problem ??= `field ${this.field} has the wrong wire type`
    return 0
  }

  takeBool(): boolean {
    return this.takeInt32() !== 0 || (this.wireType === WireType.varint && this.high !== 0)
  }

  /** The field's text, or a problem when it is none or not UTF-8. */
  takeText(): string {
    if (this.wireType !== WireType.bytes) this.problem ??= `field ${this.field} has the wrong wire type`
    else if (textKind(this.bytes, this.start, this.end) === 'notUtf8') this.problem ??= `field ${this.field} is not UTF-8`
    else return textOf(this.bytes, this.start, this.end)
    return ''
  }

  /**
   * A reader for the submessage that the field is. Its problem is its own: whoever has read it hands it to `adopt`.
   */
  takeMessage(): FieldReader {
    if (this.wireType === WireType.bytes) return new FieldReader(this.bytes, this.start, this.end)
    this.problem ??= `field ${this.field} has the wrong wire type`
    return new FieldReader(this.bytes, 0, 0)
  }

  /** A submessage with a problem is a problem of the message around it. */
  adopt(inner: FieldReader): void {
    this.problem ??= inner.problem
  }

  #take(count: number): boolean {
    this.start = this.#position
    if (count > this.#limit - this.#position) return this.#fail('a field reaches past the end')
    this.end = this.#position = this.#position + count
    return true
  }

  #fail(problem: string): false {
    this.problem = problem
    return false
  }

  /** Reads up to ten bytes into `low` and `high`. */
  #readVarint(): boolean {
    const bytes = this.bytes
    let position = this.#position
    // Nearly all tags and lengths are one byte.
    const first = position < this.#limit ? (bytes[position] ?? 0) : 0x80
    if (first < 0x80) {
      this.#position = position + 1
      this.low = first
      this.high = 0
      return true
    }
    const stop = Math.min(this.#limit, position + 10)
    let low = 0
    let high = 0
    for (let shift = 0; position < stop; shift += 7) {
      const byte = bytes[position++] ?? 0
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high |= bits >>> 4
      } else high |= bits << (shift - 32)
      if (byte < 0x80) {
        this.#position = position
        this.low = low >>> 0
        this.high = high >>> 0
        return true
      }
    }
    return false
  }
}
