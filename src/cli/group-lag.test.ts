import { expect, test } from 'vitest'
import { allLagsScreen, lagOf, lagScreen } from './group-lag.ts'

const place = {
  topic: 'orders',
  waiting: 5,
  retrying: 1,
  inFlight: 2,
  dead: 3,
  queues: [
    { queueId: 0, cursor: 4, nextOffset: 6 },
    { queueId: 1, cursor: 1, nextOffset: 3 },
  ],
}

test('the lag of a topic is the sum of its queues; in flight, retry and dead stand beside it', () => {
  expect(lagOf(place)).toEqual({
    topic: 'orders',
    end: 9,
    consumed: 5,
    behind: 4,
    inFlight: 2,
    retry: 1,
    dead: 3,
    queues: [
      { queue: 0, end: 6, consumed: 4, behind: 2 },
      { queue: 1, end: 3, consumed: 1, behind: 2 },
    ],
  })
})

test('a place that waits for the end of an empty queue is not behind', () => {
  expect(lagOf({ topic: 't', queues: [{ queueId: 0, cursor: 7, nextOffset: 5 }] })).toMatchObject({ consumed: 5, behind: 0 })
})

test('the screen has a row for each topic and one for each queue, within 80 columns', () => {
  const lines = lagScreen([lagOf(place)]).split('\n')
  expect(lines).toHaveLength(4)
  expect(lines[1]).toMatch(/orders +all +9 +5 +4 +2 +1 +3/)
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
})

test('all groups: a table for each, and a sentence for one that is nowhere', () => {
  const lines = allLagsScreen([
    { name: 'billing', topics: [lagOf(place)] },
    { name: 'mail', topics: [] },
  ]).split('\n')
  expect(lines[0]).toContain('billing')
  expect(lines.slice(-2)).toEqual(['', 'mail has no place in any topic yet'])
  expect(allLagsScreen([])).toContain('no consumer groups')
})
