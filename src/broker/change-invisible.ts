/** ChangeInvisibleDuration: a nack, an early release, or a renewal. The handle stays the same (the delivery does). */
import type { Broker } from './broker.ts'
import { decodeReceiptHandle } from './receipt-handle.ts'
import type { ChangeInvisibleAnswer, ChangeInvisibleRequest, Reply } from './requests.ts'
import { badHandle, settle } from './settle.ts'
import { replySoon } from './propose.ts'

export function changeInvisible(broker: Broker, request: ChangeInvisibleRequest, reply: Reply<ChangeInvisibleAnswer>): void {
  const { consumerGroup, topic, receiptHandle, invisibleMs, suspend, deadlineMs } = request
  const ref = decodeReceiptHandle(receiptHandle, consumerGroup, topic)
  if (ref === undefined) return replySoon(broker, reply, badHandle())
  settle(broker, { kind: 'changeInvisible', ref, invisibleMs, suspend }, deadlineMs, refusal => {
    reply(refusal ?? { kind: 'changed', receiptHandle })
  })
}
