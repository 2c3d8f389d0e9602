import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineCutter, LineJoiner } from './lines.ts'

function roundTrip(chunks: readonly Uint8Array[]): { bytes: Buffer; bodies: string[] } {
  const cutter = new LineCutter(1_000)
  const joiner = new LineJoiner()
  const lines = [...chunks.flatMap(chunk => cutter.push(chunk)), ...cutter.end()]
  const bytes = Buffer.concat(lines.flatMap(line => joiner.bytes(line.body, line.ending === 'normal' ? undefined : line.ending)))
  return { bytes, bodies: lines.map(line => Buffer.from(line.body).toString('latin1')) }
}

test.each([
  ['a\nb\n', ['a', 'b']],
  ['a\n\n\nb', ['a', '\n', '\n', 'b']],
  ['', []],
  ['\n', ['\n']],
  ['a\r\n', ['a\r']],
  ['no newline', ['no newline']],
])('%j becomes the messages %j and comes back', (text, bodies) => {
  const result = roundTrip([Buffer.from(text)])
  expect(result.bodies).toEqual(bodies)
  expect(result.bytes.toString()).toBe(text)
})

test('any bytes come back, however they were cut into chunks, and no body is empty', () => {
  const chunk = fc.array(fc.oneof(fc.constant(10), fc.nat(255)), { maxLength: 30 }).map(bytes => Uint8Array.from(bytes))
  fc.assert(
    fc.property(fc.array(chunk), chunks => {
      const result = roundTrip(chunks)
      expect(result.bytes.equals(Buffer.concat(chunks))).toBe(true)
      expect(result.bodies.every(body => body.length > 0)).toBe(true)
    }),
  )
})

test('a line longer than a message may be is refused, at once', () => {
  const cutter = new LineCutter(10)
  expect(cutter.push(Buffer.from('0123456789\n'))).toHaveLength(1)
  expect(() => cutter.push(Buffer.from('01234567890\n'))).toThrow('longer than a message may be')
  const another = new LineCutter(10)
  another.push(Buffer.from('01234'))
  expect(() => another.push(Buffer.from('567890'))).toThrow(RangeError)
})

test('what comes behind a last line without a newline begins a line of its own', () => {
  const joiner = new LineJoiner()
  const parts = [...joiner.bytes(Buffer.from('a'), 'open'), ...joiner.bytes(Buffer.from('b'), undefined)]
  expect(Buffer.concat(parts).toString()).toBe('a\nb\n')
})
