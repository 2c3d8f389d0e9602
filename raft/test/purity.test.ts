/** The core is a function of its events: it runs with every impure global poisoned, and the same history twice gives the same trace. */
import { expect, test } from 'vitest'
import { playRandomHistory } from './random-cluster.ts'

const impure = [
  'Date',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'process',
  'Promise',
  'console',
  'fetch',
  'crypto',
]
const profile = { voters: 3, steps: 1_500, areTearsAllowed: false }

/** Runs `act` while each of these throws when it is only looked at. */
function withoutTheWorld<T>(act: () => T): T {
  const saved = new Map(impure.map(name => [name, Object.getOwnPropertyDescriptor(globalThis, name)]))
  const savedRandom = Object.getOwnPropertyDescriptor(Math, 'random')
  const poison = (name: string) => ({
    configurable: true,
    get: () => {
      throw new Error(`${name} was touched`)
    },
  })
  for (const name of impure) Object.defineProperty(globalThis, name, poison(name))
  Object.defineProperty(Math, 'random', poison('Math.random'))
  try {
    return act()
  } finally {
    for (const [name, descriptor] of saved) if (descriptor !== undefined) Object.defineProperty(globalThis, name, descriptor)
    if (savedRandom !== undefined) Object.defineProperty(Math, 'random', savedRandom)
  }
}

test('the core runs with every impure global poisoned', () => {
  const history = withoutTheWorld(() => playRandomHistory(1, profile))
  expect(history.commits).toBeGreaterThan(0)
})

test('the poison works', () => {
  expect(() => withoutTheWorld(() => Date.now())).toThrow('Date was touched')
  expect(() => withoutTheWorld(() => Math.random())).toThrow('Math.random was touched')
})

test('the same seed gives the same history', () => {
  expect(playRandomHistory(5, profile)).toEqual(playRandomHistory(5, profile))
})
