/** Ack: the messages are done with. Each entry for itself; an ack of what is settled already is done again without harm. */
import type { Broker } from './broker.ts'
import { decodeReceiptHandle } from './receipt-handle.ts'
import type { Refusal } from './refusal.ts'
import type { AckAnswer, AckRequest, Reply } from './requests.ts'
import { badHandle, settle } from './settle.ts'
import { replySoon } from './propose.ts'

export function ack(broker: Broker, request: AckRequest, reply: Reply<AckAnswer>): void {
  const { consumerGroup, topic, entries, deadlineMs } = request
  const refusals: (Refusal | undefined)[] = entries.map(() => undefined)
  let missing = 0
  entries.forEach(({ receiptHandle }, i) => {
    const ref = decodeReceiptHandle(receiptHandle, consumerGroup, topic)
    if (ref === undefined) {
      refusals[i] = badHandle()
      return
    }
    missing++
    settle(broker, { kind: 'ack', ref }, deadlineMs, refusal => {
      refusals[i] = refusal
      missing--
      if (missing === 0) reply({ kind: 'acked', refusals })
    })
  })
  if (missing === 0) replySoon(broker, reply, { kind: 'acked', refusals })
}
