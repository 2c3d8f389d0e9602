/** What the model clients may use of the world. */
import type { WorldConfiguration } from '../configuration.ts'
import type { Ledger, Value } from '../ledger.ts'
import type { SimRandom } from '../sim/random.ts'
import type { Scheduler } from '../sim/scheduler.ts'
import type { Trace } from '../trace.ts'
import type { Gateway } from './rpc.ts'

/** A message as a consumer got it, its bytes copied. */
export interface ReceivedValue {
  readonly value: Value
  readonly receiptHandle: string
  readonly topic: string
  readonly queueId: number
  readonly offset: number
  readonly attempt: number
}

/** How a message is to be given back, where that is not the consumer's own choice. */
export interface GiveBack {
  readonly invisibleMs: number
  /** The next delivery does not count as an attempt. */
  readonly suspend: boolean
}

export interface ClientWorld {
  readonly configuration: WorldConfiguration
  readonly scheduler: Scheduler
  readonly ledger: Ledger
  readonly trace: Trace
  readonly gateways: readonly Gateway[]
  /** What the name that clients are configured with leads to. Never empty. */
  accessPoint(): readonly Gateway[]
  /** A stream of its own for each client. */
  stream(name: string): SimRandom
  /** Faults are over: consumers settle everything at once. */
  readonly isDraining: boolean
  /** Producers send while this holds. */
  readonly isLoading: boolean
  /** A send was acknowledged. Judged at once. */
  acknowledged(value: Value, place: { readonly queueId: number; readonly offset: number }): void
  /** A message came to a consumer. Judged at once; returns the value it is. */
  delivered(consumerGroup: string, topic: string, queueId: number, offset: number, bytes: Uint8Array): Value
  /** Asked of each delivery once: whether its consumer gives it back, and how, whatever it would do by itself. */
  givesBack(consumerGroup: string, value: Value): GiveBack | undefined
  /** A gateway begins to hand out a batch. */
  handsOut(gateway: number): void
  /** An acknowledgement of a delivery was accepted. */
  settled(consumerGroup: string, delivery: ReceivedValue): void
}
