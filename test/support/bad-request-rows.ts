/**
 * The shape of a row in the tables of bad requests, and how rows are collected. `rests: 'bytes'` says that the request's own bytes prove it wrong:
 * then nothing at all may be appended. `rests: 'state'`: what it names is not there, which only the state can tell; an entry may be appended on the
 * way, but topics, queues and groups must hold afterwards what they held before.
 */
import { crc32c, viewOf } from '../../src/platform/bytes.ts'
import { framed, type CallHeaders } from './wire.ts'

/** Topics: plain and other (normal), ordered (FIFO). Groups: g and h, both on plain. */
export interface Handles {
  /** Of a message of plain that g holds. */
  readonly live: string
  /** Of one that g has acked. */
  readonly settled: string
}

export type Expected =
  | { readonly code: number }
  /** gRPC statuses of which one must come. */
  | { readonly grpc: readonly number[] }

export interface BadRequest {
  readonly what: string
  readonly method: string
  readonly bytes: (handles: Handles) => Buffer
  readonly headers?: CallHeaders
  readonly rests: 'bytes' | 'state'
  readonly expected: Expected
}

type Request = Uint8Array | ((handles: Handles) => Uint8Array)

/** Collects rows of one method. */
export function rowsOf(method: string) {
  const rows: BadRequest[] = []
  const add =
    (rests: BadRequest['rests']) =>
    (what: string, expected: number | Expected, request: Request, headers?: CallHeaders): void => {
      rows.push({
        what: `${method.split('/').at(-1) ?? method}: ${what}`,
        method,
        bytes: handles => framed(typeof request === 'function' ? request(handles) : request),
        rests,
        expected: typeof expected === 'number' ? { code: expected } : expected,
        ...(headers === undefined ? {} : { headers }),
      })
    }
  return { rows, byBytes: add('bytes'), byState: add('state') }
}

export const seconds = (n: number): object => ({ seconds: n, nanos: 0 })
export const inMs = (ms: number): object => ({ seconds: Math.floor((Date.now() + ms) / 1000), nanos: 0 })
/** A length that goes beyond the end. */
export const brokenProtobuf = Buffer.from([0x0a, 0xff, 0xff, 0x7f, 0x01])
/** With the live handle's place, changed and signed anew: what somebody makes who knows the format. */
export function forged(handle: string, change: (view: DataView) => void): string {
  const bytes = Buffer.from(handle, 'base64url')
  const view = viewOf(bytes)
  change(view)
  view.setUint32(32, crc32c(bytes.subarray(0, 32)), true)
  return bytes.toString('base64url')
}
