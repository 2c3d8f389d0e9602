/**
 * Keys and markers of the state store. A marker is written in the same batch as the rows it numbers.
 *
 * Key, big endian so that they sort:   0 generation u32 | 4 kind u8 (1 marker, 2 row) | 5 marker: number u64; row: the state's own key
 * Marker, little endian:               0 number u64 | 8 appliedIndex u64 | 16 digest a low u32 | 20 a high u32 | 24 b low u32 | 28 b high u32 | 32 crc u32 (of 0..31)
 *
 * A generation begins with checkpoint number 1, which holds the whole state: what older generations hold is void from that batch on.
 */
import { assert } from '../platform/assert.ts'
import { crc32c, readU64, viewOf, writeU64 } from '../platform/bytes.ts'

/** The same shapes as in src/state/store.ts, which is an upper floor's. */
export interface CheckpointDigest {
  readonly a: { readonly low: number; readonly high: number }
  readonly b: { readonly low: number; readonly high: number }
}

export interface CheckpointMarker {
  readonly number: number
  readonly appliedIndex: number
  readonly digest: CheckpointDigest
}

export interface CheckpointWrite extends CheckpointMarker {
  readonly puts: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]
  readonly deletes: readonly Uint8Array[]
}

export interface CheckpointRead extends CheckpointMarker {
  readonly rows: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]
}

export const KeyKind = { marker: 1, row: 2 } as const
export const keyPrefixBytes = 5
export const markerBytes = 36
const generationMax = 0xffff_fffe

/** Everything of generations below this one sorts before this key. */
export function generationStart(generation: number): Uint8Array {
  assert(generation >= 0 && generation <= generationMax, 'checkpoint-generation', generation)
  const key = new Uint8Array(4)
  viewOf(key).setUint32(0, generation)
  return key
}

export function rowKey(generation: number, key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(keyPrefixBytes + key.length)
  viewOf(bytes).setUint32(0, generation)
  bytes[4] = KeyKind.row
  bytes.set(key, keyPrefixBytes)
  return bytes
}

export function markerKey(generation: number, number: number): Uint8Array {
  const bytes = new Uint8Array(keyPrefixBytes + 8)
  const view = viewOf(bytes)
  view.setUint32(0, generation)
  bytes[4] = KeyKind.marker
  view.setUint32(5, Math.floor(number / 0x1_0000_0000))
  view.setUint32(9, number % 0x1_0000_0000)
  return bytes
}

export function encodeMarker(marker: CheckpointMarker): Uint8Array {
  const bytes = new Uint8Array(markerBytes)
  const view = viewOf(bytes)
  writeU64(view, 0, marker.number)
  writeU64(view, 8, marker.appliedIndex)
  view.setUint32(16, marker.digest.a.low, true)
  view.setUint32(20, marker.digest.a.high, true)
  view.setUint32(24, marker.digest.b.low, true)
  view.setUint32(28, marker.digest.b.high, true)
  view.setUint32(32, crc32c(bytes.subarray(0, 32)), true)
  return bytes
}

/** Undefined when the bytes are not a marker. */
export function decodeMarker(bytes: Uint8Array): CheckpointMarker | undefined {
  if (bytes.length !== markerBytes) return undefined
  const view = viewOf(bytes)
  if (crc32c(bytes.subarray(0, 32)) !== view.getUint32(32, true)) return undefined
  return {
    number: readU64(view, 0),
    appliedIndex: readU64(view, 8),
    digest: {
      a: { low: view.getUint32(16, true), high: view.getUint32(20, true) },
      b: { low: view.getUint32(24, true), high: view.getUint32(28, true) },
    },
  }
}

export function generationOf(key: Uint8Array): number {
  return viewOf(key).getUint32(0)
}

export type StoreContent =
  | { readonly kind: 'empty' }
  | { readonly kind: 'loaded'; readonly generation: number; readonly checkpoint: CheckpointRead }
  | { readonly kind: 'unusable'; readonly reason: string }

/**
 * Judges all that a store holds: the newest generation counts, and in it every marker from the last backwards, `markersKept` of them or down to
 * number 1. A page lost in the middle of LevelDB's log opens without an error and takes whole batches with it; their markers are then missing.
 */
export function judgeStore(entries: Iterable<readonly [Uint8Array, Uint8Array]>, markersKept: number): StoreContent {
  let generation = -1
  let markers = new Map<number, CheckpointMarker>()
  let rows: { key: Uint8Array; value: Uint8Array }[] = []
  for (const [key, value] of entries) {
    if (key.length < keyPrefixBytes) return { kind: 'unusable', reason: 'a key is too short' }
    if (generationOf(key) !== generation) {
      generation = generationOf(key)
      markers = new Map()
      rows = []
    }
    if (key[4] === KeyKind.row) rows.push({ key: key.subarray(keyPrefixBytes), value })
    else {
      const marker = decodeMarker(value)
      if (marker === undefined) return { kind: 'unusable', reason: 'a checkpoint marker fails its checksum' }
      markers.set(marker.number, marker)
    }
  }
  if (generation === -1) return { kind: 'empty' }
  const last = [...markers.values()].reduce<CheckpointMarker | undefined>(
    (a, b) => (a === undefined || b.number > a.number ? b : a),
    undefined,
  )
  if (last === undefined) return { kind: 'unusable', reason: 'there is no checkpoint marker' }
  for (let number = last.number; number >= Math.max(1, last.number - markersKept + 1); number--)
    if (!markers.has(number)) return { kind: 'unusable', reason: `checkpoint ${number} is missing, ${last.number} is there` }
  return { kind: 'loaded', generation, checkpoint: { ...last, rows } }
}
