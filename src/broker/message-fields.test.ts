import { expect, test } from 'vitest'
import { messageIdOf, tagOf } from './message-fields.ts'

/** A Message with nothing but system properties, each field short. */
function withProperties(...fields: readonly (readonly [field: number, text: string])[]): Parameters<typeof tagOf> {
  const content = fields.flatMap(([field, text]) => [field * 8 + 2, text.length, ...Buffer.from(text)])
  const bytes = Buffer.from([3 * 8 + 2, content.length, ...content])
  return [bytes, { start: 0, end: bytes.length }]
}

test('of a tag or id given twice the last one counts, as for the scan that took the message', () => {
  const twice = withProperties([1, 'old'], [3, 'id-old'], [1, 'new'], [3, 'id-new'])
  expect(tagOf(...twice)).toBe('new')
  expect(messageIdOf(...twice)).toBe('id-new')
})

test('a message without them has neither', () => {
  const other = withProperties([17, 'group'])
  expect(tagOf(...other)).toBeUndefined()
  expect(messageIdOf(...other)).toBeUndefined()
})
