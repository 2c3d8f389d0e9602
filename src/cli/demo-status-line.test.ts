import { expect, test } from 'vitest'
import { actionOf, keysLines } from './demo-keys.ts'
import { statusLine, type DemoStatus } from './demo-status-line.ts'

const status: DemoStatus = {
  nodes: [
    { name: 'n1', condition: 'running' },
    { name: 'n2', condition: 'running' },
    { name: 'n3', condition: 'down' },
  ],
  leader: 'n2',
  isSending: true,
  sentPerSecond: 251,
  acknowledged: 12_480,
  onTheWay: 3,
  errors: 0,
}

test('the line tells who leads, who is out and what clients see', () => {
  expect(statusLine(status, 100)).toBe(' n1  n2 LEADER  n3 DOWN | 251/s | acked 12 480 | on the way 3 | errors 0')
})

test('a line never fills the terminal: what does not fit is left out, the least important first', () => {
  for (let columns = 0; columns < 120; columns++) expect(statusLine(status, columns).length).toBeLessThan(Math.max(columns, 1))
  expect(statusLine(status, 50)).toBe(' n1  n2 LEADER  n3 DOWN | 251/s | acked 12 480')
})

test('without a majority it says that sends wait', () => {
  const nodes = status.nodes.map((node, i) => ({ ...node, condition: i === 0 ? ('running' as const) : ('frozen' as const) }))
  expect(statusLine({ ...status, nodes, leader: undefined }, 100)).toContain('n1  n2 FROZEN  n3 FROZEN | no majority: sends wait')
})

test('keys are taken in either case, others do nothing, and the list of keys fits on 80 columns', () => {
  expect(actionOf('K')).toBe('kill')
  expect(actionOf('\u0003')).toBe('abort')
  expect(actionOf('\u0004')).toBe('quit')
  expect(actionOf('x')).toBeUndefined()
  for (const line of keysLines()) expect(line.length).toBeLessThan(76)
  const listed = keysLines().flatMap(line => [...line.matchAll(/\[(.)\]/g)].map(([, key = '']) => [key, actionOf(key)]))
  expect(listed).toEqual([
    ['k', 'kill'],
    ['f', 'freeze'],
    ['c', 'cut'],
    ['h', 'handOver'],
    ['r', 'restore'],
    ['t', 'traffic'],
    ['v', 'verify'],
    ['q', 'quit'],
  ])
})
