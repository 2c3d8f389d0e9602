/** Frames as a stranger might make them, written out by hand: an independent reading of the wire format (raft/codec/frame.ts). */
import { crc32c, viewOf } from '../../src/platform/bytes.ts'

export interface TestHello {
  readonly clusterName: string
  readonly node: number
  readonly incarnation: number
  readonly channel: 'control' | 'data'
  readonly targetNode: number
}

/** One whole frame without a payload. All numbers below 128, so that each is one protobuf byte. */
export function helloForTest(hello: TestHello): Uint8Array {
  const name = Buffer.from(hello.clusterName)
  const channel = hello.channel === 'control' ? 1 : 2
  const header = Buffer.concat([
    Buffer.from([0x0a, name.length]),
    name,
    Buffer.from([0x10, hello.node, 0x18, hello.incarnation, 0x20, 1, 0x30, channel, 0x38, hello.targetNode]),
  ])
  return frameForTest(1, header)
}

export function frameForTest(kind: number, header: Uint8Array): Uint8Array {
  const frame = new Uint8Array(12 + header.length)
  const view = viewOf(frame)
  view.setUint32(0, header.length, true)
  view.setUint8(4, kind)
  view.setUint16(6, header.length, true)
  frame.set(header, 12)
  view.setUint32(8, crc32c(header, crc32c(frame.subarray(0, 8))), true)
  return frame
}
