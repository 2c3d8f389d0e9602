/**
 * What the log says of sends: each value stands in the log at most once (A8), with the content its client gave it (A5, A6), at the next offset of
 * its queue (A12), which is the same for all of a message group (A23); "it was there already" is only ever said of the same value (A1: a swallowed send); what was refused for certain never appears (A45).
 * And what clients were told agrees with it: an acknowledged place holds that value (A1, A10), and a send that began after another one was
 * acknowledged stands behind it in their queue (A14).
 */
import type { Send } from '../../src/state/command.ts'
import type { Ledger, Value } from '../ledger.ts'
import type { Marks } from '../marks.ts'
import { expectThat, Violation } from '../violation.ts'
import { findBody, readBody } from '../workloads/payload.ts'
import type { Checker, CommittedRecord } from './checker.ts'

export interface Place {
  readonly topic: string
  readonly queueId: number
  readonly offset: number
}

export interface AppendedOnce extends Checker {
  /** A client has been told that its value is there. */
  acknowledged(value: Value, place: { readonly queueId: number; readonly offset: number }): void
  /** Where the value stands, if it does. */
  placeOf(value: number): Place | undefined
  /** Which value stands there. */
  valueAt(place: Place): number | undefined
  readonly appended: number
}

export function appendedOnce(seed: number, ledger: Ledger, marks: Marks): AppendedOnce {
  const placeOf = new Map<number, Place>()
  const valueAt = new Map<string, number>()
  const nextOffset = new Map<string, number>()
  /** By topic and message group: its one queue. */
  const queueOf = new Map<string, number>()

  const append = (value: Value, place: Place, record: CommittedRecord): void => {
    const queue = `${place.topic}/${place.queueId}`
    const next = nextOffset.get(queue) ?? 0
    expectThat(place.offset === next, 'A12', () => `${queue}: entry ${record.index} appended at offset ${place.offset}, next was ${next}`)
    nextOffset.set(queue, next + 1)
    const first = placeOf.get(value.id)
    expectThat(
      first === undefined,
      'A8',
      () => `value ${value.id} stands at ${name(first)} and, by entry ${record.index}, at ${name(place)}`,
    )
    expectThat(value.state !== 'failed', 'A45', () => `value ${value.id} was refused for certain, and entry ${record.index} appends it`)
    if (value.messageGroup !== undefined) {
      const line = `${place.topic}/${value.messageGroup}`
      const home = queueOf.get(line) ?? place.queueId
      queueOf.set(line, home)
      expectThat(
        home === place.queueId,
        'A23',
        () => `${line} stands in queue ${home}, and by entry ${record.index} in queue ${place.queueId}`,
      )
    }
    placeOf.set(value.id, place)
    valueAt.set(name(place), value.id)
  }

  const sent = (record: CommittedRecord, send: Send): void => {
    if (record.result?.kind !== 'sent') return
    for (const [ordinal, message] of send.messages.entries()) {
      const outcome = record.result.messages[ordinal]
      if (outcome === undefined) throw new Violation('A1', `entry ${record.index}: no result for message ${ordinal}`)
      const value = valueOf(seed, ledger, message.bytes, `entry ${record.index}, message ${ordinal}`)
      const place = { topic: send.topic, queueId: outcome.queueId, offset: outcome.offset }
      if (!outcome.isDuplicate) append(value, place, record)
      else {
        marks.hit('a send was answered as a duplicate')
        const there = valueAt.get(name(place))
        expectThat(
          there === value.id,
          'A1',
          () => `entry ${record.index} swallowed value ${value.id}: ${name(place)} holds value ${there ?? 'none'}`,
        )
      }
    }
  }

  return {
    name: 'appended once',
    get appended() {
      return placeOf.size
    },
    placeOf: value => placeOf.get(value),
    valueAt: place => valueAt.get(name(place)),
    committed(record) {
      if (record.command !== undefined && record.result === undefined) marks.hit('a copy of a proposal was ignored by apply')
      if (record.result?.kind === 'refused' && record.result.reason === 'late') marks.hit('a proposal was refused as late')
      if (record.command?.kind === 'raiseLevel') marks.hit('the feature level was raised')
      if (record.command?.kind === 'send') sent(record, record.command)
    },
    acknowledged(value, place) {
      const here = { topic: value.topic, ...place }
      const truth = placeOf.get(value.id)
      expectThat(truth !== undefined, 'A1', () => `value ${value.id} was acknowledged at ${name(here)} and is nowhere in the committed log`)
      expectThat(
        name(truth) === name(here),
        'A10',
        () => `value ${value.id} was acknowledged at ${name(here)} and stands at ${name(truth)}`,
      )
      const floor = value.floors[place.queueId] ?? -1
      expectThat(
        place.offset > floor,
        'A14',
        () => `value ${value.id} at ${name(here)} was sent after offset ${floor} had been acknowledged`,
      )
    },
  }
}

/** The value a message is; throws when nobody sent it or its bytes are not what was sent. */
export function valueOf(seed: number, ledger: Ledger, message: Uint8Array, where: string): Value {
  const body = findBody(message)
  const reading = body === undefined ? undefined : readBody(seed, body)
  if (reading === undefined || reading.kind === 'foreign') throw new Violation('A5', `${where}: a message that nobody sent`)
  if (reading.kind === 'damaged') throw new Violation('A6', `${where}: value ${reading.value} with another content`)
  const value = ledger.values[reading.value]
  if (value === undefined) throw new Violation('A5', `${where}: value ${reading.value} was never sent`)
  return value
}

function name(place: Place | undefined): string {
  return place === undefined ? 'nowhere' : `${place.topic}/${place.queueId}@${place.offset}`
}
