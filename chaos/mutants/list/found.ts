/**
 * Bugs of our own that seeds have found, brought back: B-numbers are those of the stories in docs/bugs-found.md and of `chaos/regressions/`. Seeds do not show
 * these any more (100 of the first were tried, 55 of the second): a leader that is cut off steps down before it could judge others, and the other two took one seed in hundreds when
 * they were there. So each is named by the directed test that it was given.
 */
import type { Mutant } from '../mutant.ts'

export const foundMutants: readonly Mutant[] = [
  {
    id: 'B01',
    what: 'what a leader says of who is down is said again to the next leader, also by one that stood still',
    file: 'src/broker/proposer.ts',
    find: 'if (pending.onlyInTerm === undefined || pending.parts === undefined',
    replace: 'if (pending.onlyInTerm !== -1 || pending.parts === undefined',
    also: [
      {
        file: 'src/broker/node-watch.ts',
        find: 'if (nowMs - this.#lastLookMs > stalledMs) this.#watched.clear()',
        replace: 'if (nowMs - this.#lastLookMs > stalledMs * 1e9) this.#watched.clear()',
      },
    ],
    expected: [],
    test: { file: 'src/broker/proposer.test.ts', name: "a leader's own word is not sent again once it leads no more" },
  },
  {
    id: 'B02',
    what: 'a repeated receive that no pop has answered is told that there is nothing',
    file: 'src/broker/long-poll.ts',
    find: 'const isRepeat = !mayFind && !waiting.wasPopped && this.#isRepeat(poll, waiting.waiter.request)',
    replace: 'const isRepeat = mayFind && !waiting.wasPopped && this.#isRepeat(poll, waiting.waiter.request)',
    also: [
      {
        file: 'src/broker/long-poll.ts',
        find: '    if (waiting.wasPopped) return this.#refuse(waiting, nothingFound())\n',
        replace: '    if (waiter.pollUntilMs >= 0) return this.#refuse(waiting, nothingFound())\n',
      },
    ],
    expected: [],
    test: {
      file: 'src/broker/receive-again.test.ts',
      name: 'a repeated receive does not end with nothing while there is no leader, and gets its messages from the next one',
    },
  },
  {
    id: 'B03',
    what: 'heartbeats tell a time that rests on an uncommitted leap, and who replaces its entries keeps the time of those that are gone',
    file: 'raft/core/replication.ts',
    find: 'const clusterTimeMs = node.commitIndex < leader.timeSettledIndex ? undefined : readClusterTime(node.clusterTime, node.nowMs)',
    replace: 'const clusterTimeMs = readClusterTime(node.clusterTime, node.nowMs)',
    also: [
      {
        file: 'raft/core/following.ts',
        find: 'if (isRewritten) restartClusterTime(',
        replace: 'if (isRewritten && node.term < 0) restartClusterTime(',
      },
    ],
    expected: [],
    test: { file: 'raft/test/scenario.test.ts', name: 'cluster-time-leap-undone.txt' },
  },
]
