import { expect, test } from 'vitest'
import { UnreadableEntry, type RaftNode } from '../../raft/index.ts'
import type { Clock } from '../platform/clock.ts'
import { raftView } from './raft-view.ts'

function viewOf(raft: Partial<RaftNode>): ReturnType<typeof raftView> {
  return raftView(() => raft as RaftNode, {} as Clock)
}

test('the body of an entry that can not be read here is not known, and any other error is no answer', () => {
  const broken = (error: Error) =>
    viewOf({
      role: 'follower',
      entry: () => {
        throw error
      },
    })
  expect(broken(new UnreadableEntry('rotten')).entryBody(7)).toBeUndefined()
  expect(() => broken(new Error('entry-above-log')).entryBody(7)).toThrow('entry-above-log')
})

test('a node whose log is being mended is asked for no body: its state knows of entries that its log does not reach to yet', () => {
  const asked: number[] = []
  const view = viewOf({
    role: 'recovering',
    entry: index => {
      asked.push(index)
      throw new Error('entry-above-log')
    },
  })
  expect(view.entryBody(310)).toBeUndefined()
  expect(asked).toEqual([])
})
