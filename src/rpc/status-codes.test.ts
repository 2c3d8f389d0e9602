import { expect, test } from 'vitest'
import '../platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import { multipleResultsCode, okCode, StatusCode } from './status-codes.ts'

const Code = apache.rocketmq.v2.Code as unknown as Readonly<Record<string, number>>

test.each(Object.entries(StatusCode))('refusal %s has the number of the v2 code of the same name', (refusal, number) => {
  expect(Code[refusal.replaceAll(/[A-Z]/g, letter => `_${letter}`).toUpperCase()]).toBe(number)
})

test('the codes of success are those of the protocol', () => {
  expect([okCode, multipleResultsCode]).toEqual([Code['OK'], Code['MULTIPLE_RESULTS']])
})
