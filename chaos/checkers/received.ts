/** What consumers were handed is what was sent (A5, A6), and stands where the delivery says (A10). Remembers which group has seen which value. */
import type { Ledger, Value } from '../ledger.ts'
import { expectThat } from '../violation.ts'
import { valueOf, type AppendedOnce } from './appended-once.ts'

export interface Received {
  /** A consumer of the group got these bytes as the message at this place. */
  delivered(consumerGroup: string, topic: string, queueId: number, offset: number, bytes: Uint8Array): Value
  hasSeen(consumerGroup: string, value: number): boolean
}

export function received(seed: number, ledger: Ledger, appended: AppendedOnce): Received {
  const seen = new Map<string, Set<number>>()
  return {
    delivered(consumerGroup, topic, queueId, offset, bytes) {
      const where = `group ${consumerGroup} got ${topic}/${queueId}@${offset}`
      const value = valueOf(seed, ledger, bytes, where)
      const there = appended.valueAt({ topic, queueId, offset })
      expectThat(there === value.id, 'A10', () => `${where}: the message of value ${value.id}, but value ${there ?? 'none'} stands there`)
      let values = seen.get(consumerGroup)
      if (values === undefined) seen.set(consumerGroup, (values = new Set()))
      values.add(value.id)
      return value
    },
    hasSeen: (consumerGroup, value) => seen.get(consumerGroup)?.has(value) ?? false,
  }
}
