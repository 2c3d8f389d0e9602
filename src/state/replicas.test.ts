/**
 * The same entries on replicas that live differently: one never restarts and its digest is asked once; one is asked after every entry; one is
 * checkpointed and restarted at odd moments. Small limits, so that every bound (fired, visited, rows, deduplication, clearing) is met on the way.
 */
import { expect, test } from 'vitest'
import type { DeliveryRef, SettleItem } from './command.ts'
import { digestText } from './digest.ts'
import type { AppliedEntry } from './machine.ts'
import { fifoSend, group, hash, MemoryCheckpoints, message, receive, Replica, send, sound } from './testing/replica.ts'

const limits = { groupRowsMax: 700, rowsMax: 1_500, dedupeRowsMax: 600, dedupeWindowMs: 40_000, dedupeKeepMs: 5_000 }

/** xorshift: the same numbers for the same seed. */
function chance(seed: number): (below: number) => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** A busy cluster's entries. */
function aBusyLog(seed: number, count: number): { replica: Replica; met: Record<string, number> } {
  const next = chance(seed)
  const replica = new Replica(limits)
  const met = { fired: 0, refused: 0, hasMore: 0, starved: 0, popped: 0 }
  const refs: DeliveryRef[] = []
  const create = () => {
    replica.run({ kind: 'createTopic', topic: 'a', type: 'normal', queueCount: 3 })
    replica.run({ kind: 'createTopic', topic: 'fifo', type: 'fifo', queueCount: 2 })
    replica.run(group('g', ['a', 'fifo'], {}, false, 3))
    replica.run(group('ordered', ['a', 'fifo'], {}, true, 3))
  }
  create()
  while (replica.entries.length < count) {
    const from = 1 + next(3)
    const kind = next(100)
    const name = next(2) === 0 ? 'a' : 'fifo'
    replica.wallMs += next(40)
    if (kind < 30) {
      const messages = Array.from({ length: 1 + next(60) }, () => message(next(3) === 0 ? undefined : next(5_000), { tagHash: next(3) }))
      const result = replica.run({ ...(name === 'a' ? send('a', []) : fifoSend('fifo', next(6), [])), messages }, from)
      if (result.kind === 'refused') met.refused++
    } else if (kind < 70) {
      const consumerGroup = next(2) === 0 ? 'g' : 'ordered'
      const requests = Array.from({ length: 1 + next(8) }, () =>
        receive({
          client: hash(1 + next(9)),
          autoRenew: next(3) === 0,
          invisibleMs: 1_000 * next(20),
          attempt: next(2) === 0 ? hash(next(50)) : undefined,
          filter: next(9) === 0 ? { kind: 'tags', hashes: [9] } : { kind: 'all' },
        }),
      )
      const result = replica.run({ kind: 'pop', consumerGroup, topic: name, requests }, from)
      if (result.kind !== 'popped') continue
      if (result.hasMore) met.hasMore++
      if (replica.machine.isFull(consumerGroup)) met.starved++
      for (const batch of result.deliveries) refs.push(...batch.map(({ ref }) => ref))
      met.popped += refs.length
    } else if (kind < 90) {
      const items: SettleItem[] = []
      for (let i = next(200); i >= 0 && refs.length > 0; i--) {
        const ref = refs.splice(next(refs.length), 1)[0]
        if (ref === undefined) continue
        const how = next(10)
        if (how < 6) items.push({ kind: 'ack', ref })
        else if (how < 8) items.push({ kind: 'confirm', ref })
        else if (how < 9) items.push({ kind: 'release', ref })
        else items.push({ kind: 'changeInvisible', ref, invisibleMs: next(5_000), suspend: next(2) === 0 })
      }
      if (items.length > 0) replica.run({ kind: 'settle', items }, from)
    } else if (kind < 95) {
      const before = replica.machine.place('g', 'a')?.inFlight ?? 0
      replica.pass(next(20_000))
      if (before - (replica.machine.place('g', 'a')?.inFlight ?? 0) > 100) met.fired++
    } else if (kind < 97) replica.run({ kind: 'nodeChanged', node: from, isUp: next(2) === 0 }, 9)
    else if (kind < 98) replica.incarnations.set(from, (replica.incarnations.get(from) ?? 1) + 1)
    else if (kind < 99) replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1 + next(9)), change: 'terminated' }] }, from)
    else if (next(4) === 0) {
      replica.run({ kind: 'deleteTopic', topic: name }, from)
      create()
    }
  }
  return { replica, met }
}

function replay(entries: readonly AppliedEntry[], after: (replica: Replica, i: number) => void): Replica {
  const replica = new Replica(limits)
  entries.forEach((entry, i) => {
    replica.machine.apply(entry)
    after(replica, i)
  })
  return replica
}

test.each([1, 2, 3, 4])('replicas fed with the same 3000 entries agree, however they were checkpointed and restarted (seed %i)', seed => {
  const { replica, met } = aBusyLog(seed, 3_000)
  sound(replica)
  const digest = digestText(replica.machine.digest())
  for (const [what, times] of Object.entries(met)) expect(times, what).toBeGreaterThan(0)

  const asked = replay(replica.entries, each => each.machine.digest())
  expect(digestText(asked.machine.digest())).toBe(digest)

  const next = chance(seed + 100)
  const checkpoints = new MemoryCheckpoints()
  const restarted = replay(replica.entries, each => {
    const what = next(60)
    if (what === 0) each.restart(checkpoints)
    else if (what < 4) checkpoints.save(each.machine.takeCheckpoint())
  })
  expect(digestText(restarted.machine.digest())).toBe(digest)
  sound(restarted)
  // What the store holds is the state, no row more: a machine from it has the same digest by itself.
  restarted.restart(checkpoints)
  expect(digestText(restarted.machine.recomputeDigest())).toBe(digest)
})
