/**
 * Where the log begins once retention has deleted its oldest segments: the last link of the chain that is gone, and the membership that was in force there,
 * for its config entry may be gone too. Without it, a first segment that was lost would look like one that was deleted.
 *
 * `base`: the same copy twice, at 0 and at half the file's size, a multiple of 4 KiB, so that one damaged place costs nothing. A copy, little endian:
 *   0 magic u32 | 4 format u32 | 8 index u64 | 16 term u64 | 24 wallMs u64 | 32 headerCrc u32 | 36 zero u32 | 40 directory id 16 bytes
 * | 56 index of the config entry u64 (0 = none is known) | 64 its bytes u32 | 68 crc u32 (of all else up to the body's end) | 72 its body
 * Format 1 was one copy of 60 bytes: its crc stood at 56, and it knew no membership.
 *
 * Written under another name, synced and renamed before the first segment below it is removed: what the file names may be missing, what it does not
 * must be there. No file: nothing was ever deleted.
 */
import { assert } from '../platform/assert.ts'
import { crc32cOf, crc32cRange, readU64, viewOf, writeU64 } from '../platform/bytes.ts'
import type { Disk, DiskCallback } from '../platform/disk.ts'
import type { ChainLink } from './record.ts'
import { directoryIdBytes } from './segment.ts'
import { isDiskError } from './storage-error.ts'

export const baseName = 'base'
export const newBaseName = 'base.tmp'

const baseMagic = 0x42_51_4d_52 // "RMQB"
const baseFormat = 2
const firstFormat = { number: 1, crcAt: 56, bytes: 60 } as const
const headBytes = 72
const blockBytes = 4096
const at = {
  magic: 0,
  format: 4,
  index: 8,
  term: 16,
  wallMs: 24,
  headerCrc: 32,
  directoryId: 40,
  configIndex: 56,
  configBytes: 64,
  crc: 68,
} as const

/** A config entry that the log does not hold any more, and whose membership was in force where the log begins. */
export interface BaseMembership {
  readonly index: number
  /** As in the entry. */
  readonly body: Uint8Array
}

export interface LogBase {
  /** What the first entry that is kept follows. */
  readonly link: ChainLink
  /** undefined: no config entry is gone. */
  readonly membership: BaseMembership | undefined
}

export type FoundBase =
  /** The log was never cut. */
  | { readonly kind: 'none' }
  | { readonly kind: 'found'; readonly base: LogBase; /** Of the copy that is damaged. */ readonly damage: string | undefined }
  /** The end of a sentence: "log/base …". */
  | { readonly kind: 'bad'; readonly problem: string }

type Decoded =
  { readonly kind: 'ok'; readonly base: LogBase; readonly isFirstFormat: boolean } | { readonly kind: 'bad'; readonly problem: string }

export function encodeBase({ link, membership }: LogBase, directoryId: Uint8Array): Uint8Array {
  assert(directoryId.length === directoryIdBytes, 'directory-id-length', directoryId.length)
  const body = membership?.body ?? new Uint8Array(0)
  const length = headBytes + body.length
  const spacing = Math.ceil(length / blockBytes) * blockBytes
  const bytes = new Uint8Array(2 * spacing)
  const view = viewOf(bytes)
  view.setUint32(at.magic, baseMagic, true)
  view.setUint32(at.format, baseFormat, true)
  writeU64(view, at.index, link.index)
  writeU64(view, at.term, link.term)
  writeU64(view, at.wallMs, link.wallMs)
  view.setUint32(at.headerCrc, link.headerCrc, true)
  bytes.set(directoryId, at.directoryId)
  writeU64(view, at.configIndex, membership?.index ?? 0)
  view.setUint32(at.configBytes, body.length, true)
  bytes.set(body, headBytes)
  view.setUint32(at.crc, crcOf(bytes, body.length), true)
  bytes.copyWithin(spacing, 0, length)
  return bytes
}

export function decodeBase(bytes: Uint8Array, directoryId: Uint8Array): FoundBase {
  const first = decodeCopy(bytes, directoryId)
  if (first.kind === 'ok' && first.isFirstFormat) return { kind: 'found', base: first.base, damage: undefined }
  const second = decodeCopy(bytes.subarray(Math.floor(bytes.length / 2)), directoryId)
  if (first.kind === 'ok') return { kind: 'found', base: first.base, damage: second.kind === 'bad' ? second.problem : undefined }
  return second.kind === 'ok' ? { kind: 'found', base: second.base, damage: first.problem } : first
}

function decodeCopy(bytes: Uint8Array, directoryId: Uint8Array): Decoded {
  if (bytes.length < firstFormat.bytes) return bad('is cut short')
  const view = viewOf(bytes)
  const format = view.getUint32(at.format, true)
  const isFirstFormat = format === firstFormat.number
  if (!isFirstFormat && bytes.length < headBytes) return bad('is cut short')
  const bodyBytes = isFirstFormat ? 0 : view.getUint32(at.configBytes, true)
  const isWhole = isFirstFormat
    ? crc32cRange(bytes, 0, firstFormat.crcAt) === view.getUint32(firstFormat.crcAt, true)
    : headBytes + bodyBytes <= bytes.length && crcOf(bytes, bodyBytes) === view.getUint32(at.crc, true)
  if (!isWhole) return bad('fails its checksum')
  if (view.getUint32(at.magic, true) !== baseMagic) return bad('is no record of where the log begins')
  if (!isFirstFormat && format !== baseFormat) return bad(`has the unknown format ${format}`)
  if (!directoryId.every((byte, i) => byte === bytes[at.directoryId + i])) return bad('belongs to another data directory')
  const place = { index: readU64(view, at.index), term: readU64(view, at.term), wallMs: readU64(view, at.wallMs) }
  const configIndex = isFirstFormat ? 0 : readU64(view, at.configIndex)
  const membership = configIndex === 0 ? undefined : { index: configIndex, body: bytes.slice(headBytes, headBytes + bodyBytes) }
  return { kind: 'ok', base: { link: { ...place, headerCrc: view.getUint32(at.headerCrc, true) }, membership }, isFirstFormat }
}

function bad(problem: string): Decoded {
  return { kind: 'bad', problem }
}

function crcOf(bytes: Uint8Array, bodyBytes: number): number {
  return crc32cOf([bytes.subarray(0, at.crc), bytes.subarray(headBytes, headBytes + bodyBytes)])
}

export function readBase(disk: Disk, directory: string, directoryId: Uint8Array): FoundBase {
  const path = `${directory}/${baseName}`
  if (!disk.exists(path)) return { kind: 'none' }
  const file = disk.open(path, { create: false })
  try {
    const bytes = new Uint8Array(file.sizeBytes())
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
    done(error ?? tryToName(disk, directory))
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

/** In a later turn there is nobody to throw at. */
function tryToName(disk: Disk, directory: string): Error | undefined {
  try {
    nameBase(disk, directory)
    return undefined
  } catch (error) {
    if (!isDiskError(error)) throw error
    return error
  }
}

function nameBase(disk: Disk, directory: string): void {
  disk.rename(`${directory}/${newBaseName}`, `${directory}/${baseName}`)
  disk.syncDirectory(directory)
}
