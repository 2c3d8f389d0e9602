/**
 * Little-endian integers and checksums. The only place that reads or writes 64-bit integers: two u32 through a DataView, because
 * bigint and the Buffer methods are several times slower, and bit operators are wrong above 2^31.
 */
import { crc32c as nativeCrc32c } from '@node-rs/crc32'
import { assert } from './assert.ts'

const twoTo32 = 0x1_0000_0000

/** A DataView over exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Memory of its own, not zeroed: for whoever writes before anyone reads. */
export function allocateUnzeroed(bytes: number): Uint8Array {
  const buffer = Buffer.allocUnsafeSlow(bytes)
  return new Uint8Array(buffer.buffer, buffer.byteOffset, bytes)
}

/** Reads a u64 as a number. A value of 2^53 or more comes back as a number that is not a safe integer: whoever reads the outside checks. */
export function readU64(view: DataView, position: number): number {
  return view.getUint32(position + 4, true) * twoTo32 + view.getUint32(position, true)
}

export function writeU64(view: DataView, position: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'u64-range', value)
  view.setUint32(position, value % twoTo32, true)
  view.setUint32(position + 4, Math.floor(value / twoTo32), true)
}

/** One byte; 0 behind the end. */
export function byteAt(bytes: Uint8Array, position: number): number {
  return bytes[position] ?? 0
}

/** A u16 read byte by byte: a DataView over a small array costs more than what it reads, because the array's memory has to move out of the heap for it. */
export function u16At(bytes: Uint8Array, position: number): number {
  return byteAt(bytes, position) | (byteAt(bytes, position + 1) << 8)
}

/** A u32, read likewise. */
export function u32At(bytes: Uint8Array, position: number): number {
  return (u16At(bytes, position) | (u16At(bytes, position + 2) << 16)) >>> 0
}

/** Writes a u32, likewise. */
export function putU32(bytes: Uint8Array, position: number, value: number): void {
  bytes[position] = value
  bytes[position + 1] = value >>> 8
  bytes[position + 2] = value >>> 16
  bytes[position + 3] = value >>> 24
}

/** Below this a table loop beats the native call's overhead. */
const tableBytesMax = 64
const crcTable = makeCrcTable()

function makeCrcTable(): Int32Array {
  const table = new Int32Array(256)
  for (let i = 0; i < 256; i++) {
    let c = i
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
    table[i] = c
  }
  return table
}

/** CRC-32C (Castagnoli) of `bytes`, continuing from `seed`, the CRC of what stood before. Unsigned. `crc32c("123456789")` is e3069283. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  if (bytes.length > tableBytesMax) return nativeCrc32c(bytes, seed) >>> 0
  let c = ~seed
  for (const byte of bytes) c = (crcTable[(c ^ byte) & 0xff] ?? 0) ^ (c >>> 8)
  return ~c >>> 0
}

/** CRC-32C of `bytes[start, end)`, without making a view for short ranges: record headers are checked one by one. */
export function crc32cRange(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  if (end - start > tableBytesMax) return nativeCrc32c(bytes.subarray(start, end), seed) >>> 0
  let c = ~seed
  for (let i = start; i < end; i++) c = (crcTable[(c ^ (bytes[i] ?? 0)) & 0xff] ?? 0) ^ (c >>> 8)
  return ~c >>> 0
}

/** Whether `bytes[start, end)` is all zero. */
export function isZero(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return false
  return true
}

/** CRC-32C of several buffers as if they were one. */
export function crc32cOf(parts: readonly Uint8Array[]): number {
  let crc = 0
  for (const part of parts) crc = crc32c(part, crc)
  return crc
}
