/** Decoding by the generated classes, for what is not on the hot path: bad bytes are a refusal, not an exception. */
import '../../platform/protobuf.ts'
import { refuse, type Refusal } from '../../broker/refusal.ts'

export interface Decoder<T> {
  decode(bytes: Uint8Array): T
}

export type Decoded<T> = { readonly kind: 'decoded'; readonly message: T } | Refusal

export function decodeRequest<T>(decoder: Decoder<T>, name: string, bytes: Uint8Array): Decoded<T> {
  try {
    return { kind: 'decoded', message: decoder.decode(bytes) }
  } catch (error) {
    // The generated code throws plain errors, and RangeErrors at the end of the bytes; anything that is no Error is not its doing.
    if (error instanceof Error) return refuse('badRequest', `not a ${name}: ${error.message}`)
    throw error
  }
}
