import { expect, test } from 'vitest'
import { encodeStatusMessage, parseTimeout } from './status.ts'

test.each([
  [undefined, Infinity],
  ['3S', 3_000],
  ['2999963u', 2_999.963],
  ['100m', 100],
  ['1H', 3_600_000],
  ['5M', 300_000],
  ['99999999n', 99.999999],
  ['0m', 0],
  ['S', undefined],
  ['3', undefined],
  ['-3S', undefined],
  ['123456789S', undefined],
  ['3x', undefined],
  ['', undefined],
])('the timeout %j is %j ms', (header, ms) => {
  expect(parseTimeout(header)).toBe(ms)
})

test.each([
  ['plain text', 'plain text'],
  ['100 %', '100 %25'],
  ['é\n', '%C3%A9%0A'],
])('the message %j travels as %j', (message, encoded) => {
  expect(encodeStatusMessage(message)).toBe(encoded)
})
