/**
 * The wire's hot path without a wire: scan of a send (1 KiB, four properties), against decoding it with the generated classes, and the splice of
 * its delivery. Ratios count; the absolute figures are this machine's.
 */
import { createHash } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import '../src/platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import type { ReceivedMessage } from '../src/broker/requests.ts'
import { checkSend } from '../src/rpc/messaging/validate.ts'
import { encodeDelivery } from '../src/rpc/wire/append-fields.ts'
import { scanMessage, scanSend } from '../src/rpc/wire/scan.ts'
import { queueOffset, type QueueId } from '../src/state/ids.ts'

const v2 = apache.rocketmq.v2

export interface WireScanFigures {
  readonly scanNs: number
  readonly scanAndCheckNs: number
  readonly generatedDecodeNs: number
  readonly deliveryNs: number
  /** Generated decode ÷ scan. */
  readonly ratio: number
}

const warmUpRounds = 20_000
const rounds = 200_000

/** Best of three, in nanoseconds of processor time a round: other processes of the machine do not count. */
function measure(run: () => unknown): number {
  for (let i = 0; i < warmUpRounds; i++) run()
  let bestNs = Infinity
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = process.cpuUsage()
    for (let i = 0; i < rounds; i++) run()
    const { user, system } = process.cpuUsage(before)
    bestNs = Math.min(bestNs, ((user + system) * 1_000) / rounds)
  }
  return bestNs
}

export function runBench(): WireScanFigures {
  const body = Buffer.alloc(1_024, 'x')
  const message = {
    topic: { name: 'orders', resourceNamespace: '' },
    userProperties: { region: 'eu-central-1', source: 'checkout', attempt: '1', trace: '0af7651916cd43dd8448eb211c80319c' },
    systemProperties: {
      tag: 'paid',
      keys: ['order-4711'],
      messageId: '01563C8E7A9D2B0A1C05F3D2E000000001',
      bodyEncoding: v2.Encoding.IDENTITY,
      messageType: v2.MessageType.NORMAL,
      bornTimestamp: { seconds: 1_700_000_000, nanos: 123_000_000 },
      bornHost: 'checkout-7f9c6d5b8-x2x7p',
    },
    body,
  }
  const request = v2.SendMessageRequest.encode({ messages: [message] }).finish()
  const bytes = v2.Message.encode(message).finish()
  const scan = scanMessage(bytes)
  if (typeof scan === 'string') throw new Error(scan)
  const received: ReceivedMessage = {
    receiptHandle: 'AAAAAQAAAAIAAAADAAAABAAAAAUAAAAGAAAABwAAAAg',
    bytes,
    systemProperties: scan.systemProperties,
    bodyMd5: createHash('md5').update(body).digest(),
    queueId: 3 as QueueId,
    offset: queueOffset(123_456),
    attempt: 1,
    storedAtMs: 1_700_000_000_123,
    invisibleMs: 60_000,
  }
  const context = { topic: 'orders', namespace: '', storeHost: '10.0.0.1:8081' }
  const scanNs = measure(() => scanSend(request))
  const scanAndCheckNs = measure(() => {
    const found = scanSend(request)
    return found.kind === 'send' && checkSend(found.messages, 1_700_000_000_000)
  })
  const generatedDecodeNs = measure(() => v2.SendMessageRequest.decode(request))
  const deliveryNs = measure(() => encodeDelivery(received, context))
  return { scanNs, scanAndCheckNs, generatedDecodeNs, deliveryNs, ratio: generatedDecodeNs / scanNs }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) console.log(JSON.stringify(runBench()))
