import { expect, test } from 'vitest'
import type { Delivery } from '../state/result.ts'
import { DeliveryOwners, type Stream } from './delivery-owners.ts'

function deliveryOf(deliverySequence: number, logIndex: number): Delivery {
  return { ref: { deliverySequence }, logIndex } as Delivery
}

test('what any stream still reads from keeps the log, in whatever order it was given', () => {
  const owners = new DeliveryOwners()
  const streams = [
    [deliveryOf(1, 70), deliveryOf(2, 40)],
    [deliveryOf(3, 90), deliveryOf(4, 60)],
  ].map((deliveries): Stream => ({ deliveries, releaseFrom: undefined }))
  expect(owners.oldestLogIndex).toBe(Infinity)
  for (const stream of streams) owners.take(stream.deliveries, stream)
  expect(owners.oldestLogIndex).toBe(40)
  const [first, second] = streams
  for (const stream of [first, second]) {
    for (const delivery of stream?.deliveries ?? []) if (stream !== undefined) owners.leave(delivery, stream)
    expect(owners.oldestLogIndex).toBe(stream === first ? 60 : Infinity)
  }
})
