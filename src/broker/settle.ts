/** What ack, changeInvisible and forwardToDeadLetterQueue share: a settle item proposed with others, and its outcome. */
import { bounds } from '../state/command-codec.ts'
import type { SettleItem } from '../state/command.ts'
import { fullRefusal } from './admission.ts'
import { applyRefusal } from './apply-refusal.ts'
import type { Broker } from './broker.ts'
import { Gatherer, type GathererOptions } from './gatherer.ts'
import { refuse, type Refusal } from './refusal.ts'
import { replySoon } from './propose.ts'

export function newSettles(options: Omit<GathererOptions<SettleItem>, 'toCommand' | 'batchMax' | 'itemsMax'>): Gatherer<SettleItem> {
  return new Gatherer({ ...options, toCommand: items => ({ kind: 'settle', items }), batchMax: bounds.itemsMax, itemsMax: 200_000 })
}

/** `done(undefined)` = settled. Exactly once, never inside this call. */
export function settle(broker: Broker, item: SettleItem, deadlineMs: number, done: (refusal: Refusal | undefined) => void): void {
  const isTaken = broker.settles.add(item, deadlineMs, (applied, place) => {
    if (applied.kind === 'refused') return done(applied)
    const { result } = applied
    if (result.kind === 'refused') return done(applyRefusal(result.reason, 'the message'))
    if (result.kind !== 'settled') return done(refuse('internalServerError', `A settle ended as ${result.kind}.`))
    done(result.outcomes[place] === 'ok' ? undefined : staleHandle())
  })
  if (!isTaken) replySoon(broker, done, fullRefusal())
}

export function staleHandle(): Refusal {
  return refuse(
    'invalidReceiptHandle',
    'The handle names a delivery that has ended: it expired, or the message was given to somebody else.',
  )
}

export function badHandle(): Refusal {
  return refuse('invalidReceiptHandle', 'The text is not a receipt handle for this consumer group and topic.')
}
