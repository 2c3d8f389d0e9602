/**
 * What the two halves of a catch-up say over their link (catch-up.ts has the conversation):  0 length u16 of the header | header, JSON | payload.
 * What makes no sense is undefined, and the link is closed.
 */
/** What the two halves say to each other. */
export type BulkHeader =
  /** A snapshot at an earlier entry than `atLeast` is of no use; builds that don't say take any. */
  | { readonly kind: 'ask'; readonly atLeast?: number }
  | { readonly kind: 'wait' }
  | { readonly kind: 'manifest' }
  | { readonly kind: 'gone'; readonly why: 'gone' | 'rotten' }
  | { readonly kind: 'read'; readonly index: number; readonly file: number; readonly position: number; readonly bytes: number }
  | { readonly kind: 'piece'; readonly index: number; readonly file: number; readonly position: number; readonly crc: number }

export type ReadHeader = Extract<BulkHeader, { kind: 'read' }>

/** Pieces that a fetcher has asked for and that are not with its disk yet, at most. */
export const windowPieces = 32

/** Buffers of one frame; the payload is not copied. */
export function encodeBulkFrame(header: BulkHeader, payload?: Uint8Array): Uint8Array[] {
  const text = Buffer.from(JSON.stringify(header))
  const head = new Uint8Array(2 + text.length)
  head[0] = text.length & 0xff
  head[1] = text.length >> 8
  head.set(text, 2)
  return payload === undefined || payload.length === 0 ? [head] : [head, payload]
}

/** Names a piece of one snapshot. */
export function placeKey(place: { readonly file: number; readonly position: number }): string {
  return `${place.file}/${place.position}`
}

export function decodeBulkFrame(bytes: Uint8Array): { readonly header: BulkHeader; readonly payload: Uint8Array } | undefined {
  const end = 2 + (bytes[0] ?? 0) + (bytes[1] ?? 0) * 256
  if (end > bytes.length || end === 2) return undefined
  try {
    const header = JSON.parse(Buffer.from(bytes.subarray(2, end)).toString('utf8')) as BulkHeader
    return { header, payload: bytes.subarray(end) }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
