/** How far a round of the leader lets the log go: never behind what it had applied when it began. */
import { expect, test } from 'vitest'
import { MachineClock } from '../chaos/sim/clock.ts'
import { Scheduler } from '../chaos/sim/scheduler.ts'
import type { Command } from '../src/state/command.ts'
import type { RetentionView } from '../src/state/retention-view.ts'
import { Deadlines } from '../src/broker/deadlines.ts'
import type { DiskWatch } from '../src/broker/disk-watch.ts'
import type { Proposer } from '../src/broker/proposer.ts'
import type { BrokerRaft } from '../src/broker/raft-view.ts'
import { RetentionWatch } from '../src/broker/retention-watch.ts'

/** A leader alone, whose log has entries 1..10 in one segment and those behind in another; one topic, of one queue, without a message that is applied. */
function aLeader(appliedIndex: number): { proposed: Command[]; scheduler: Scheduler; watch: RetentionWatch } {
  const scheduler = new Scheduler()
  const clock = new MachineClock(scheduler, { wallStartMs: 0, monotonicStartMs: 0, driftPpm: 0 }).forProcess(scheduler.newProcess('n1'))
  const proposed: Command[] = []
  const topic = {
    topicId: 1,
    retention: { ageMs: 0, sizeBytes: 0 },
    isDeadLetter: false,
    queues: [{ topicId: 1, queueId: 0, first: 0, next: 0 }],
  }
  const retention = { logFirst: 1, topicIds: () => [1], topic: () => topic, unfinishedBelowFirst: () => [] }
  const raft = { isLeader: true, term: 1, commitIndex: 12, followers: () => [] }
  const watch = new RetentionWatch({
    clock,
    deadlines: new Deadlines(clock),
    view: { appliedIndex, wallMs: 0, retention: retention as unknown as RetentionView },
    raft: raft as unknown as BrokerRaft,
    disk: { state: { level: 'ok' } } as unknown as DiskWatch,
    proposer: { propose: (command: Command) => proposed.push(command) > 0 } as unknown as Proposer,
    log: {
      segments: () => [
        { firstIndex: 1, lastIndex: 10, bytes: 1_000 },
        { firstIndex: 11, lastIndex: 12, bytes: 100 },
      ],
      wallMsAt: () => 0,
    },
    settings: { ageMs: 0, sizeBytes: 0, intervalMs: 100, followerGraceMs: 1_000 },
  })
  watch.onLeadershipChanged()
  return { proposed, scheduler, watch }
}

test('gives up a segment that nothing needs, when all of it was applied before the round began', () => {
  const { proposed, scheduler, watch } = aLeader(10)
  scheduler.runFor(150)
  watch.close()
  expect(proposed).toEqual([{ kind: 'trimLog', index: 11 }])
})

test('keeps a segment whose last entry is committed and not applied: it may be the first message of an empty queue', () => {
  const { proposed, scheduler, watch } = aLeader(9)
  scheduler.runFor(150)
  watch.close()
  expect(proposed).toEqual([])
})
