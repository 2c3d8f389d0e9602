import { expect, test } from 'vitest'
import { placeLine } from './group.ts'

test('a group in a topic is one line, which says why messages wait only where it matters', () => {
  expect(placeLine({ topic: 't', waiting: 3, inFlight: 1, dead: 2 })).toBe('t: 3 waiting, 1 in flight, 2 dead')
  expect(placeLine({ topic: 't', waiting: 3, retrying: 1, blocked: 2 })).toBe(
    't: 3 waiting (1 to be tried again, 2 behind others of their message group), 0 in flight, 0 dead',
  )
})
