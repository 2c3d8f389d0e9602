import { expect, it } from 'vitest'
import type { NodeId } from '../../raft/index.ts'
import { membershipOf } from './group-of.ts'
import { seats } from './seats.ts'

it('tells who has lost a seat, who has taken one, and who has done both while it was told of its removal', () => {
  const turn = seats()
  const first = turn(membershipOf(1, 2, 3))
  expect([1, 2, 3, 4].map(first.isAnew)).toEqual([false, false, false, false])
  expect([3, 4].map(first.isGone)).toEqual([false, true])

  const told = { ...membershipOf(1, 2, 3, 4), leaving: [3 as NodeId] }
  const grown = turn(told)
  expect([1, 3, 4].map(grown.isAnew)).toEqual([false, false, true])
  expect([1, 3, 4].map(grown.isGone)).toEqual([false, false, true])

  const again = turn(membershipOf(1, 2, 3, 4))
  expect([1, 3, 4].map(again.isAnew)).toEqual([false, true, false])
  expect([1, 3, 4].map(again.isGone)).toEqual([false, true, false])

  const smaller = turn(membershipOf(1, 2, 4))
  expect([3, 4].map(smaller.isGone)).toEqual([true, false])
  expect([3, 4].map(smaller.isAnew)).toEqual([false, false])
})
