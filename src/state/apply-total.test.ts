/**
 * Apply is total: whatever passes the leader's check can be applied without an exception, and leaves a sound state.
 * 10^5 mutated commands in the ordinary run; `APPLY_TOTAL_COMMANDS=1000000 npx vitest run src/state/apply-total.test.ts` for the long one.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkCommand } from './command-codec.ts'
import { digestText } from './digest.ts'
import { entryKinds, StateHalt } from './machine.ts'
import { commands } from './testing/arbitraries.ts'
import { bodyOf, fifoSend, group, Replica, send } from './testing/replica.ts'

const total = Number(process.env['APPLY_TOTAL_COMMANDS'] ?? 100_000)
const seed = Number(process.env['APPLY_TOTAL_SEED'] ?? 20_260_731)

/** xorshift: the same numbers for the same seed. */
function chance(from: number): (below: number) => number {
  let state = from | 1
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

test(
  `${total} mutated commands pass the leader's check and apply, or are refused by the check; none throws (seed ${seed})`,
  { timeout: 600_000 },
  () => {
    const next = chance(seed)
    // A pool is drawn once: fast-check would take longer than what is tested.
    const pool = fc.sample(commands, { numRuns: 4_000, seed })
    const limits = { topicsMax: 40, groupsMax: 40, placesMax: 200, clientsMax: 60, groupRowsMax: 300, rowsMax: 1_000, dedupeRowsMax: 500 }
    let replica = new Replica(limits)
    let applied = 0
    let refused = 0
    for (let i = 0; i < total; i++) {
      if (i % 20_000 === 0) {
        check(replica)
        replica = aBusyReplica(limits)
      }
      const command = pool[next(pool.length)]
      if (command === undefined) continue
      replica.wallMs += next(10) === 0 ? next(60_000) : next(50)
      const body = bodyOf(replica.envelope(1 + next(3)), command)
      const mutations = next(4)
      for (let m = 0; m < mutations; m++) mutate(body, next)
      const cut = next(20) === 0 ? body.subarray(0, next(body.length + 1)) : body
      if (checkCommand(cut) !== undefined) {
        refused++
        continue
      }
      applied++
      try {
        replica.feed(entryKinds.data, cut)
      } catch (error) {
        // A digest that a mutated check names is wrong as a rule: that is a halt, and right.
        if (!(error instanceof StateHalt) || error.reason !== 'digestMismatch') throw error
        replica = aBusyReplica(limits)
      }
    }
    check(replica)
    expect(applied).toBeGreaterThan(total / 4)
    expect(refused).toBeGreaterThan(total / 20)
  },
)

function mutate(body: Uint8Array, next: (below: number) => number): void {
  // The session's fields stay as they are as a rule, or everything would be a copy of something.
  const at = next(50) === 0 ? next(body.length) : 24 + next(Math.max(1, body.length - 24))
  if (at >= body.length) return
  const kind = next(3)
  body[at] = kind === 0 ? (body[at] ?? 0) ^ (1 << next(8)) : kind === 1 ? next(256) : next(4)
}

function aBusyReplica(limits: object): Replica {
  const replica = new Replica(limits)
  replica.run({ kind: 'createTopic', topic: 'a', type: 'normal', queueCount: 3 })
  replica.run({ kind: 'createTopic', topic: 'fifo', type: 'fifo', queueCount: 2 })
  replica.run(group('g', ['a', 'fifo'], {}, false, 3))
  replica.run(group('ordered', ['a', 'fifo'], {}, true, 3))
  for (let i = 0; i < 40; i++) {
    replica.run(send('a', [i]))
    replica.run(fifoSend('fifo', i % 4, [undefined]))
  }
  return replica
}

function check(replica: Replica): void {
  expect(replica.machine.conservation()).toEqual([])
  expect(digestText(replica.machine.digest())).toBe(digestText(replica.machine.recomputeDigest()))
}
