import fc from 'fast-check'
import { expect, test } from 'vitest'
import { frameOf, FrameParser, framePrefix } from './frame.ts'

function messagesOf(parser: FrameParser): string[] {
  const found: string[] = []
  for (let message = parser.next(); message !== undefined; message = parser.next()) {
    found.push(typeof message === 'string' ? `!${message}` : message.toString('hex'))
    if (typeof message === 'string') break
  }
  return found
}

test('messages come out whole and in order, however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 6 }), fc.array(fc.nat(12), { minLength: 1 }), (messages, cuts) => {
      const stream = Buffer.concat(messages.map(frameOf))
      const parser = new FrameParser(100)
      const found: string[] = []
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = Math.max(1, cuts[i % cuts.length] ?? 1)
        parser.push(stream.subarray(at, at + size))
        found.push(...messagesOf(parser))
        at += size
      }
      expect(found).toEqual(messages.map(message => Buffer.from(message).toString('hex')))
      expect(parser.isBetweenMessages).toBe(true)
    }),
  )
})

test('a message that came in one chunk is not copied', () => {
  const chunk = frameOf(Buffer.from('abc'))
  const parser = new FrameParser(100)
  parser.push(chunk)
  const message = parser.next()
  expect(message instanceof Buffer && message.buffer === chunk.buffer).toBe(true)
})

test('a message over the bound is refused before it has come', () => {
  const parser = new FrameParser(100)
  parser.push(framePrefix(101))
  expect(parser.next()).toBe('tooLarge')
})

test('a compressed message is refused', () => {
  const parser = new FrameParser(100)
  parser.push(Buffer.from([1, 0, 0, 0, 0]))
  expect(parser.next()).toBe('compressed')
})

test('half a message is none, and not nothing', () => {
  const parser = new FrameParser(100)
  parser.push(framePrefix(3))
  expect(parser.next()).toBeUndefined()
  expect(parser.isBetweenMessages).toBe(false)
})

test('an empty message is one', () => {
  const parser = new FrameParser(100)
  parser.push(framePrefix(0))
  expect(messagesOf(parser)).toEqual([''])
})
