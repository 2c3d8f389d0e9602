import { expect, test } from 'vitest'
import fc from 'fast-check'
import {
  createClusterTime,
  followMedian,
  forgetOldClocks,
  hearClusterTime,
  leapTo,
  noteClock,
  readClusterTime,
  stampNow,
  startLeadingTime,
  wantedLeap,
} from './cluster-time.ts'
import type { ClusterTime } from './cluster-time.ts'
import type { NodeId } from './ids.ts'
import { electorateOf } from './quorum.ts'

const voters = (count: number) => electorateOf({ voters: Array.from({ length: count }, (_, i) => (i + 1) as NodeId), outgoing: [] })

const yearMs = 365 * 86_400_000

/** A leader whose log ended at 1 000 000; all three clocks show that at monotonic time 0. */
function aLeader(clocks: readonly (number | undefined)[] = [1_000_000, 1_000_000, 1_000_000]): ClusterTime {
  const time = createClusterTime(voters(clocks.length), 5_000, 1_000_000, 0)
  clocks.forEach((wallMs, slot) => wallMs !== undefined && noteClock(time, slot, wallMs, 0))
  startLeadingTime(time, 0, false)
  return time
}

test('with clocks that agree it runs like them', () => {
  const time = aLeader()
  followMedian(time, 700)
  expect(readClusterTime(time, 1_000)).toBe(1_001_000)
})

test.each([yearMs, -yearMs])('a leader whose own clock jumps by %i ms moves nothing', jumpMs => {
  const time = aLeader()
  for (let nowMs = 100; nowMs <= 5_000; nowMs += 100) {
    noteClock(time, 0, 1_000_000 + nowMs + jumpMs, nowMs)
    followMedian(time, nowMs)
    expect(wantedLeap(time, nowMs)).toBeUndefined()
    expect(readClusterTime(time, nowMs)).toBe(1_000_000 + nowMs)
  }
})

test.each([yearMs, -yearMs])('also when only two of three clocks are known and one of them is %i ms off', jumpMs => {
  const time = aLeader([1_000_000 + jumpMs, 1_000_000, undefined])
  followMedian(time, 2_000)
  expect(wantedLeap(time, 2_000)).toBeUndefined()
  expect(readClusterTime(time, 2_000)).toBe(1_002_000)
})

test('ahead of the median it runs at half speed until the median has caught up', () => {
  const time = aLeader([996_000, 996_000, 996_000])
  followMedian(time, 0)
  expect(readClusterTime(time, 2_000)).toBe(1_001_000)
  expect(readClusterTime(time, 8_000)).toBe(1_004_000)
  expect(readClusterTime(time, 9_000)).toBe(1_005_000)
})

test('a little behind it is moved to the median at once', () => {
  const time = aLeader([1_003_000, 1_003_000, 900_000])
  followMedian(time, 0)
  expect(readClusterTime(time, 0)).toBe(1_003_000)
})

test('far behind it stays where it is, and wants an entry that a majority of clocks stands behind', () => {
  const time = aLeader([1_060_000, 1_090_000, 900_000])
  followMedian(time, 0)
  expect(readClusterTime(time, 0)).toBe(1_000_000)
  expect(wantedLeap(time, 0)).toBe(1_060_000)
  leapTo(time, 1_060_000, 0)
  expect(stampNow(time, 0)).toBe(1_060_000)
  expect(wantedLeap(time, 0)).toBeUndefined()
})

test('clocks of a minority are no reason to move', () => {
  const time = aLeader([1_090_000, undefined, undefined])
  followMedian(time, 100)
  expect(wantedLeap(time, 100)).toBeUndefined()
  expect(readClusterTime(time, 100)).toBe(1_000_100)
})

test('the first leader of an empty log takes the time that a majority of clocks has reached', () => {
  const time = createClusterTime(voters(3), 5_000, 0, 0)
  noteClock(time, 0, 1_700_000_000_000 + yearMs, 0)
  noteClock(time, 1, 1_700_000_000_000, 0)
  startLeadingTime(time, 0, true)
  expect(stampNow(time, 0)).toBe(1_700_000_000_000)
})

test('a new leader goes on from what the last one told, not from where its log ended', () => {
  const time = createClusterTime(voters(3), 5_000, 1_000_000, 0)
  hearClusterTime(time, 9_000_000, 10)
  noteClock(time, 0, 1_000, 20)
  startLeadingTime(time, 1_010, false)
  expect(stampNow(time, 1_010)).toBe(9_001_000)
})

test('whatever the clocks do, stamps never fall and readings always go on', () => {
  const jump = fc.record({
    slot: fc.nat(2),
    wallMs: fc.integer({ min: -yearMs, max: yearMs }),
    afterMs: fc.integer({ min: 1, max: 3_000 }),
  })
  fc.assert(
    fc.property(fc.array(jump, { maxLength: 50 }), jumps => {
      const time = aLeader()
      let nowMs = 0
      let reading = readClusterTime(time, 0)
      let stamp = stampNow(time, 0)
      for (const { slot, wallMs, afterMs } of jumps) {
        nowMs += afterMs
        noteClock(time, slot, wallMs + nowMs, nowMs)
        followMedian(time, nowMs)
        const leapMs = wantedLeap(time, nowMs)
        if (leapMs !== undefined) leapTo(time, leapMs, nowMs)
        const next = readClusterTime(time, nowMs)
        expect(next).toBeGreaterThanOrEqual(reading + afterMs / 2 - 0.01)
        expect(stampNow(time, nowMs)).toBeGreaterThanOrEqual(stamp)
        reading = next
        stamp = stampNow(time, nowMs)
      }
    }),
  )
})

/** The same leader's time, reckoned millisecond by millisecond from plain lists. */
class DumbTime {
  value = 1_000_000
  nowMs = 0
  target: number | undefined
  readonly clocks = new Map<number, number>()
  readonly #halves: readonly (readonly number[])[]

  constructor(halves: readonly (readonly number[])[]) {
    this.#halves = halves
  }

  passTo(nowMs: number): void {
    for (; this.nowMs < nowMs; this.nowMs++) {
      const ahead = this.target === undefined ? 0 : this.value - (this.target + this.nowMs)
      this.value += ahead >= 0.5 ? 0.5 : ahead > 0 ? 1 - ahead : 1
    }
  }

  /** The latest offset that more than half of each half of the voters have reached. */
  majority(): number | undefined {
    const reached = [...this.clocks.values()].filter(offset =>
      this.#halves.every(half => 2 * half.filter(id => (this.clocks.get(id) ?? -Infinity) >= offset).length > half.length),
    )
    return reached.length === 0 ? undefined : Math.max(...reached)
  }

  aim(): void {
    const known = [...this.clocks.values()].sort((a, b) => a - b)
    const middle = [known[Math.floor((known.length - 1) / 2)] ?? NaN, known[Math.floor(known.length / 2)] ?? NaN]
    const off = (offset: number | undefined) => Math.abs((offset ?? NaN) + this.nowMs - this.value)
    this.target = this.majority() === undefined ? undefined : off(middle[1]) < off(middle[0]) ? middle[1] : middle[0]
  }

  follow(leapMs: number): void {
    this.aim()
    const behind = (this.target ?? NaN) + this.nowMs - this.value
    if (behind > 0 && behind <= leapMs) this.value += behind
  }
}

test('it is what reckoning millisecond by millisecond gives, in one set of voters and in two', () => {
  const twoOfThree = [
    [1, 2, 3],
    [1, 4, 5],
  ]
  const twoAndThree = [
    [1, 2],
    [2, 3, 4],
  ]
  const halves = fc.constantFrom<readonly (readonly number[])[]>([[1, 2, 3]], [[1, 2, 3, 4]], [[1]], twoOfThree, twoAndThree)
  const news = fc.record({
    id: fc.integer({ min: 1, max: 5 }),
    wallMs: fc.integer({ min: 993_000, max: 1_008_000 }),
    afterMs: fc.nat(2_000),
    isTick: fc.boolean(),
  })
  fc.assert(
    fc.property(halves, fc.array(news, { maxLength: 25 }), (sets, all) => {
      const ids = (set: readonly number[] | undefined) => (set ?? []).map(id => id as NodeId)
      const electorate = electorateOf({ voters: ids(sets[0]), outgoing: ids(sets[1]) })
      const time = createClusterTime(electorate, 5_000, 1_000_000, 0)
      const dumb = new DumbTime(sets)
      startLeadingTime(time, 0, false)
      for (const { id, wallMs, afterMs, isTick } of all) {
        const nowMs = dumb.nowMs + afterMs
        dumb.passTo(nowMs)
        const slot = electorate.ids.indexOf(id as NodeId)
        if (slot >= 0) {
          noteClock(time, slot, wallMs + nowMs, nowMs)
          dumb.clocks.set(id, wallMs)
          dumb.aim()
        }
        if (isTick) {
          followMedian(time, nowMs)
          dumb.follow(5_000)
        }
        expect(readClusterTime(time, nowMs)).toBeCloseTo(dumb.value, 3)
        const reached = dumb.majority()
        const wanted = reached !== undefined && Math.floor(reached + nowMs) - dumb.value > 5_000 ? Math.floor(reached + nowMs) : undefined
        expect(wantedLeap(time, nowMs)).toBe(wanted)
      }
    }),
  )
})

test('a clock that was heard long ago makes no majority with one that is wrong now (seed 700122)', () => {
  const hourMs = 3_600_000
  const time = aLeader([1_000_000, 1_000_000, 1_000_000])
  noteClock(time, 1, 1_000_100 + hourMs, 100)
  expect(wantedLeap(time, 100)).toBeUndefined()
  // The second node is not heard any more; its clock is put right meanwhile, and ours goes wrong.
  noteClock(time, 2, 1_000_800, 800)
  noteClock(time, 0, 1_000_800 + hourMs, 800)
  expect(wantedLeap(time, 800)).toBe(1_000_800 + hourMs)
  forgetOldClocks(time, 800 - 300)
  expect(wantedLeap(time, 800)).toBeUndefined()
})
