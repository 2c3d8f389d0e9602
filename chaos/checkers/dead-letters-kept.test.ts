import { expect, it } from 'vitest'
import type { CommittedRecord } from './checker.ts'
import { deadLettersKept } from './dead-letters-kept.ts'

const groups = [{ name: 'billing', topics: ['orders', 'accounts'] }]
const entry8 = { index: 8 } as CommittedRecord

/** A group that has given up so many messages of each of its two topics, and has so many dead letters. */
function aChecker(dead: readonly [number, number], kept: number | undefined) {
  const places: Readonly<Record<string, number>> = { orders: dead[0], accounts: dead[1] }
  return deadLettersKept(
    {
      topic: name => (name === '%DLQ%billing' && kept !== undefined ? { appended: kept } : undefined),
      place: (_, topic) => ({ dead: places[topic] ?? 0 }),
    },
    groups,
  )
}

it('as many dead letters as its places have given up are all of them, also when there are none yet', () => {
  for (const checker of [aChecker([2, 1], 3), aChecker([0, 0], undefined)]) {
    expect(() => checker.committed?.(entry8)).not.toThrow()
    expect(() => checker.atEnd?.()).not.toThrow()
  }
})

it('a message that was given up and is no dead letter is lost (A33)', () => {
  const message = 'group billing has given up 3 messages, and its dead letters are 2'
  expect(() => aChecker([2, 1], 2).committed?.(entry8)).toThrow(message)
  expect(() => aChecker([2, 1], 2).atEnd?.()).toThrow(message)
})
