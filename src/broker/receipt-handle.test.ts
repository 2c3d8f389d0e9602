import { expect, test } from 'vitest'
import fc from 'fast-check'
import { bounds } from '../state/codec/bounds.ts'
import type { DeliveryRef } from '../state/command.ts'
import { decodeReceiptHandle, encodeReceiptHandle } from './receipt-handle.ts'

const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const refs = fc.record({
  consumerGroupId: u32,
  topicId: u32,
  queueId: fc.integer({ min: 0, max: bounds.queuesMax - 1 }),
  offset: u48,
  deliverySequence: u48,
}) as fc.Arbitrary<DeliveryRef>

test('what is encoded is decoded', () => {
  fc.assert(
    fc.property(refs, fc.string(), fc.string(), (ref, group, topic) => {
      expect(decodeReceiptHandle(encodeReceiptHandle(ref, group, topic), group, topic)).toEqual(ref)
    }),
  )
})

test('a handle for another group or topic is no handle', () => {
  const ref = { consumerGroupId: 1, topicId: 2, queueId: 3, offset: 4, deliverySequence: 5 } as DeliveryRef
  const handle = encodeReceiptHandle(ref, 'g', 't')
  expect(decodeReceiptHandle(handle, 'g2', 't')).toBeUndefined()
  expect(decodeReceiptHandle(handle, 'g', 't2')).toBeUndefined()
})

test('no changed sign, no cut and no garbage passes as a handle', () => {
  const ref = { consumerGroupId: 1, topicId: 2, queueId: 3, offset: 4, deliverySequence: 5 } as DeliveryRef
  const handle = encodeReceiptHandle(ref, 'g', 't')
  for (let i = 0; i < handle.length; i++) {
    const changed = handle.slice(0, i) + (handle[i] === 'A' ? 'B' : 'A') + handle.slice(i + 1)
    expect(decodeReceiptHandle(changed, 'g', 't')).toBeUndefined()
    expect(decodeReceiptHandle(handle.slice(0, i), 'g', 't')).toBeUndefined()
  }
  fc.assert(fc.property(fc.string(), text => decodeReceiptHandle(text, 'g', 't') === undefined))
})

test('a signed handle of a queue that no topic can have is no handle', () => {
  const ref = { consumerGroupId: 1, topicId: 2, queueId: bounds.queuesMax, offset: 4, deliverySequence: 5 } as DeliveryRef
  expect(decodeReceiptHandle(encodeReceiptHandle(ref, 'g', 't'), 'g', 't')).toBeUndefined()
})

test('the text of a handle is pinned: any node reads any other’s', () => {
  const ref = { consumerGroupId: 7, topicId: 9, queueId: 3, offset: 2 ** 33 + 1, deliverySequence: 2 ** 34 + 2 } as DeliveryRef
  expect(encodeReceiptHandle(ref, 'consumers', 'orders')).toMatchInlineSnapshot(`"BwAAAAkAAAADAAAAAgAAAAQAAQAAAAIATDM70i34Mzwg95WC"`)
})
