/**
 * Import this before any generated code. Without it int64 fields decode to `Long` objects, whatever the generated types say:
 * with no Long at hand protobufjs falls back to plain numbers, which hold every offset and time we will ever see (docs/decisions/0001).
 */
import protobuf from 'protobufjs/minimal.js'

// protobufjs declares Long as always present; leaving it out is its documented way to get numbers.
;(protobuf.util as { Long?: unknown }).Long = undefined
protobuf.configure()

export { protobuf }
