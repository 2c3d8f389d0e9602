import { expect, test } from 'vitest'
import { retentionShown } from './topic.ts'
import { counted } from './terminal.ts'

test('without an age of its own a topic is kept as the nodes are configured, whatever its size', () => {
  expect(retentionShown({})).toBe('as the nodes are configured')
  expect(retentionShown({ retentionMs: 0 })).toBe('as the nodes are configured')
  expect(retentionShown({ retentionMs: 259_200_000 })).toBe('for 3d')
  expect(retentionShown({ retentionBytes: 1024 ** 3 })).toBe('as the nodes are configured, at most 1GiB')
})

test('one is not many', () => {
  expect([counted(0, 'topic'), counted(1, 'topic'), counted(2_000, 'topic')]).toEqual(['0 topics', '1 topic', '2 000 topics'])
  expect([counted(1, 'entry', 'entries'), counted(2, 'entry', 'entries')]).toEqual(['1 entry', '2 entries'])
})
