/** gRPC's own statuses. They speak of calls, not of messages: what a handler says on purpose has status OK (protocol reference §2.1). */

export const GrpcStatus = {
  ok: 0,
  invalidArgument: 3,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const
export type GrpcStatus = (typeof GrpcStatus)[keyof typeof GrpcStatus]

/** Percent-encoding as the protocol demands it: printable ASCII but for `%` stays, every other byte of the UTF-8 is written as %XX. */
export function encodeStatusMessage(message: string): string {
  return Buffer.from(message, 'utf8').reduce(
    (text, byte) =>
      text +
      (byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`),
    '',
  )
}

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 }

/** Milliseconds of a grpc-timeout header; Infinity when there is none, undefined when it is nonsense. */
export function parseTimeout(header: string | undefined): number | undefined {
  if (header === undefined) return Infinity
  const unit = unitMs[header.slice(-1)]
  const digits = header.slice(0, -1)
  return unit === undefined || !/^\d{1,8}$/.test(digits) ? undefined : Number(digits) * unit
}
