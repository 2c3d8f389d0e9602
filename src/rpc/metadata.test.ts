import { expect, test } from 'vitest'
import { answerTimeMs, clientIdOf, firstValue, isNodeClient, patienceMs } from './metadata.ts'

test.each([
  ['a', 'a'],
  ['a, a, a', 'a'],
  [' a ', 'a'],
  ['', undefined],
  [', a', undefined],
])('of the header %j the first value is %j', (value, first) => {
  expect(firstValue({ h: value }, 'h')).toBe(first)
})

test('a client id that Go sent three times is one id', () => {
  expect(clientIdOf({ 'x-mq-client-id': 'h@1@2@x, h@1@2@x, h@1@2@x' })).toBe('h@1@2@x')
})

test('a missing or endless client id is none', () => {
  expect(clientIdOf({})).toBeUndefined()
  expect(clientIdOf({ 'x-mq-client-id': 'x'.repeat(2_000) })).toBeUndefined()
})

test.each([
  ['HTTP', true],
  ['JAVA', false],
  ['DOTNET', false],
])('language %s: Node client %s', (language, expected) => {
  expect(isNodeClient({ 'x-mq-language': language })).toBe(expected)
})

test.each([
  { leftMs: Infinity, patience: 2_500, answer: Infinity },
  { leftMs: 10_000, patience: 2_500, answer: 9_700 },
  { leftMs: 3_000, patience: 2_500, answer: 2_700 },
  { leftMs: 1_000, patience: 700, answer: 700 },
  { leftMs: 400, patience: 200, answer: 200 },
  { leftMs: -5, patience: 0, answer: 0 },
])('with $leftMs ms left a use case may take $patience ms', ({ leftMs, patience, answer }) => {
  expect(patienceMs(leftMs)).toBe(patience)
  expect(answerTimeMs(leftMs)).toBe(answer)
})
