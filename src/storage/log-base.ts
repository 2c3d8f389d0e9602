/**
 * Where the log begins once retention has deleted its oldest segments: the last link of the chain that is gone. Without it, a first segment that
 * was lost would look like one that was deleted.
 *
 * `base`, little endian, 60 bytes:  0 magic u32 | 4 format u32 | 8 index u64 | 16 term u64 | 24 wallMs u64 | 32 headerCrc u32 | 36 zero u32
 * | 40 directory id 16 bytes | 56 crc u32 (of bytes 0..55)
 *
 * Written under another name, synced and renamed before the first segment below it is removed: what the file names may be missing, what it does not
 * must be there. No file: nothing was ever deleted.
 */
import { assert } from '../platform/assert.ts'
import { crc32cRange, readU64, viewOf, writeU64 } from '../platform/bytes.ts'
import type { Disk, DiskCallback } from '../platform/disk.ts'
import type { ChainLink } from './record.ts'
import { directoryIdBytes } from './segment.ts'

export const baseName = 'base'
export const newBaseName = 'base.tmp'
export const baseBytes = 60

const baseMagic = 0x42_51_4d_52 // "RMQB"
const baseFormat = 1
const at = { magic: 0, format: 4, index: 8, term: 16, wallMs: 24, headerCrc: 32, directoryId: 40, crc: 56 } as const

export type FoundBase =
  /** The log was never cut. */
  | { readonly kind: 'none' }
  | { readonly kind: 'found'; readonly link: ChainLink }
  /** The end of a sentence: "log/base …". */
  | { readonly kind: 'bad'; readonly problem: string }

export function encodeBase(link: ChainLink, directoryId: Uint8Array): Uint8Array {
  assert(directoryId.length === directoryIdBytes, 'directory-id-length', directoryId.length)
  const bytes = new Uint8Array(baseBytes)
  const view = viewOf(bytes)
  view.setUint32(at.magic, baseMagic, true)
  view.setUint32(at.format, baseFormat, true)
  writeU64(view, at.index, link.index)
  writeU64(view, at.term, link.term)
  writeU64(view, at.wallMs, link.wallMs)
  view.setUint32(at.headerCrc, link.headerCrc, true)
  bytes.set(directoryId, at.directoryId)
  view.setUint32(at.crc, crc32cRange(bytes, 0, at.crc), true)
  return bytes
}

export function decodeBase(bytes: Uint8Array, directoryId: Uint8Array): FoundBase {
  if (bytes.length < baseBytes) return { kind: 'bad', problem: 'is cut short' }
  const view = viewOf(bytes)
  if (crc32cRange(bytes, 0, at.crc) !== view.getUint32(at.crc, true)) return { kind: 'bad', problem: 'fails its checksum' }
  if (view.getUint32(at.magic, true) !== baseMagic) return { kind: 'bad', problem: 'is no record of where the log begins' }
  if (view.getUint32(at.format, true) !== baseFormat)
    return { kind: 'bad', problem: `has the unknown format ${view.getUint32(at.format, true)}` }
  if (!directoryId.every((byte, i) => byte === bytes[at.directoryId + i]))
    return { kind: 'bad', problem: 'belongs to another data directory' }
  const link = { index: readU64(view, at.index), term: readU64(view, at.term), wallMs: readU64(view, at.wallMs) }
  return { kind: 'found', link: { ...link, headerCrc: view.getUint32(at.headerCrc, true) } }
}

export function readBase(disk: Disk, directory: string, directoryId: Uint8Array): FoundBase {
  const path = `${directory}/${baseName}`
  if (!disk.exists(path)) return { kind: 'none' }
  const file = disk.open(path, { create: false })
  try {
    const bytes = new Uint8Array(baseBytes)
    return decodeBase(bytes.subarray(0, file.readSync(bytes, 0)), directoryId)
  } finally {
    file.close()
  }
}

/** Durable when `done` runs. */
export function writeBase(disk: Disk, directory: string, bytes: Uint8Array, done: DiskCallback): void {
  const file = disk.open(`${directory}/${newBaseName}`, { create: true })
  file.writeAndSync(0, [bytes], error => {
    file.close()
    if (error === undefined) nameBase(disk, directory)
    done(error)
  })
}

/** The same at a start, before anything else runs. */
export function writeBaseSync(disk: Disk, directory: string, bytes: Uint8Array): void {
  const file = disk.open(`${directory}/${newBaseName}`, { create: true })
  try {
    file.writeSync(bytes, 0)
    file.syncSync()
  } finally {
    file.close()
  }
  nameBase(disk, directory)
}

function nameBase(disk: Disk, directory: string): void {
  disk.rename(`${directory}/${newBaseName}`, `${directory}/${baseName}`)
  disk.syncDirectory(directory)
}
