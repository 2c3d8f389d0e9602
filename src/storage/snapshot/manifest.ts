/**
 * What a snapshot consists of: the place in the log that its state is at, and the files that a node needs to go on from there: the log's segments up to
 * that entry, the queue index, and the state's rows. Little files of text, for they are few; made where the snapshot is taken, sent, and kept while it
 * is being fetched and installed.
 *
 * Layout: magic u32 | crc u32 of all behind | JSON. Whatever does not decode, or names what no node of ours would name, is no manifest.
 */
import type { BaseMembership } from '../log-base.ts'
import { crc32c, viewOf } from '../../platform/bytes.ts'
import type { CheckpointDigest } from '../checkpoint-codec.ts'

export type SnapshotFileKind = 'log' | 'index' | 'state'

export interface SnapshotFile {
  readonly kind: SnapshotFileKind
  /** Its name under `log/` or `queue-index/`; `state` for the rows. */
  readonly name: string
  /** Of the file that its first so many bytes belong to the snapshot. */
  readonly bytes: number
  /** Two files of equal kind, name and tag hold the same bytes as far as both go: a prefix that was fetched for an older manifest counts for this one. */
  readonly tag: string
}

export interface SnapshotManifest {
  readonly format: 1
  readonly term: number
  /** The state is what entries up to here made of it. */
  readonly index: number
  /** Cluster time of that entry. */
  readonly lastWallMs: number
  readonly digest: CheckpointDigest
  /** The last config entry that the log does not hold any more, as `index:body in base64`; empty when it holds all of them. */
  readonly membership: string
  readonly files: readonly SnapshotFile[]
}

const magic = 0x4e_51_4d_52 // "RMQN"
const filesMax = 100_000
const names: Readonly<Record<SnapshotFileKind, RegExp>> = { log: /^\d{20}\.(log|idx)$/, index: /^\d{12}\.(open|sealed)$/, state: /^state$/ }

export function encodeManifest(manifest: SnapshotManifest): Uint8Array {
  const text = Buffer.from(JSON.stringify(manifest))
  const bytes = new Uint8Array(8 + text.length)
  const view = viewOf(bytes)
  bytes.set(text, 8)
  view.setUint32(0, magic, true)
  view.setUint32(4, crc32c(text), true)
  return bytes
}

export function decodeManifest(bytes: Uint8Array): SnapshotManifest | undefined {
  if (bytes.length < 8) return undefined
  const view = viewOf(bytes)
  const text = bytes.subarray(8)
  if (view.getUint32(0, true) !== magic || view.getUint32(4, true) !== crc32c(text)) return undefined
  const value = JSON.parse(Buffer.from(text).toString('utf8')) as SnapshotManifest
  return isManifest(value) ? value : undefined
}

/** The checksum says that some node of ours wrote it; this, that it is of our format and stays inside its directories. */
function isManifest({ format, index, term, membership, files }: SnapshotManifest): boolean {
  if ((format as number) !== 1 || !isCount(index) || index < 1 || !isCount(term)) return false
  if (!/^(\d{1,16}:[\w+/]+=*)?$/.test(membership)) return false
  if (files.length > filesMax) return false
  // The log's files stand behind all others.
  if (files.some(({ kind }, i) => kind !== 'log' && files[i - 1]?.kind === 'log')) return false
  return files.every(file => isCount(file.bytes) && names[file.kind].test(file.name)) && files.some(isState)
}

function isState({ kind }: SnapshotFile): boolean {
  return kind === 'state'
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Where a file stands below a directory that mirrors the data directory. */
export function relativePath(file: SnapshotFile): string {
  return file.kind === 'state' ? 'state' : file.kind === 'log' ? `log/${file.name}` : `queue-index/${file.name}`
}

/** Its state and queue index, for a node whose own log holds the last entry. Pieces are asked for by the number of their file: the log's come last. */
export function withoutLog(manifest: SnapshotManifest): SnapshotManifest {
  return { ...manifest, files: manifest.files.filter(({ kind }) => kind !== 'log') }
}

/** As a manifest tells it. */
export function encodeBaseMembership(membership: BaseMembership | undefined): string {
  return membership === undefined ? '' : `${membership.index}:${Buffer.from(membership.body).toString('base64')}`
}

export function decodeBaseMembership(text: string): BaseMembership | undefined {
  const [index = '', body] = text.split(':')
  return body === undefined ? undefined : { index: Number(index), body: Buffer.from(body, 'base64') }
}
