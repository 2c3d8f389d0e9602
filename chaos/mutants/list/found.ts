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
  {
    id: 'B48',
    what: 'a flush in rounds is cut wherever a round is full, also in the middle of a record',
    file: 'src/storage/log-writer.ts',
    find: '    if (buffer.length > room) room = 0\n',
    replace: '    if (buffer.length < 0) room = 0\n',
    expected: [],
    test: {
      file: 'test/storage/flush-rounds.test.ts',
      name: 'a flush in several rounds ends each with a whole record, so a power cut between two leaves nothing to doubt (seed 30000116)',
    },
  },
  {
    id: 'B49',
    what: 'a leader that stays remembers the session of a number that was given up',
    file: 'src/broker/create-broker.ts',
    find: 'gate.forgetRetired(id => view.session(id)?.isOver === true)',
    replace: 'gate.forgetRetired(id => view.session(id)?.incarnation === -1)',
    expected: [],
    test: {
      file: 'src/broker/proposal-gate.test.ts',
      name: 'a gateway whose number was given up, and given again, is heard by a leader that stayed (seed 30003847)',
    },
  },
  {
    id: 'B50',
    what: 'a chunk that has rotted after it ended waits for a checkpoint that may never come',
    file: 'src/storage/queue-index.ts',
    find: 'if (this.#frozen.mark.throughIndex <= savedIndex) this.#maybeSeal()',
    replace: 'if (this.#frozen.mark.throughIndex < 0) this.#maybeSeal()',
    expected: [],
    test: {
      file: 'test/storage/queue-index-rot.test.ts',
      name: 'a chunk whose file has rotted and that has ended since is sealed without another checkpoint (seed 30004487)',
    },
  },
  {
    id: 'B51',
    what: 'a hole is filled with entries of another term',
    file: 'src/storage/holes.ts',
    find: '      if (termAt(log.termRuns, link.index) !== link.term) strayedFrom',
    replace: '      if (termAt(log.termRuns, link.index) === 0) strayedFrom',
    expected: [],
    test: {
      file: 'test/storage/rotten-neighbours.test.ts',
      name: 'a hole that is longer than one record takes nothing of a peer whose log went its own way there, however often that one is asked first (seed 30000474)',
    },
  },
  {
    id: 'B52',
    what: 'what stood above the mark in a file that is made anew is taken for never written',
    file: 'src/storage/log-repair.ts',
    find: '    if (this.#rot.following === undefined) this.#options.tailLost()\n',
    replace: '    if (this.#repaired < 0) this.#options.tailLost()\n',
    expected: [],
    test: {
      file: 'test/storage/log-repair.test.ts',
      name: 'a last segment that is not there any more is made anew up to the mark, and what stood behind that is in doubt when it is whole',
    },
  },
  {
    id: 'B55',
    what: 'a last segment whose head has rotted is taken for one that was never written',
    file: 'src/storage/open-log.ts',
    find: 'tornAt !== undefined || lostEnd !== undefined',
    replace: 'tornAt !== undefined',
    expected: [],
    test: {
      file: 'test/storage/log-repair.test.ts',
      name: 'a last segment whose head has rotted leaves in doubt what it held (seed 30009036) when the mark does not reach it, and alone is not begun with',
    },
  },
  {
    id: 'B56',
    what: 'in a repair at a start a peer is never asked for the beginning that another one gave wrongly',
    file: 'src/storage/log-repair.ts',
    find: "return this.startOver() ? 'progress' : 'refused'",
    replace: "return this.startOver() && this.#target < 0 ? 'progress' : 'refused'",
    expected: [],
    test: {
      file: 'test/storage/log-repair.test.ts',
      name: 'what waits for a proof is forgotten for a peer that it does not fit, and that one is asked from the beginning',
    },
  },
  {
    id: 'B53',
    what: 'a stop waits for a checkpoint that is not begun any more',
    file: 'src/node/checkpointer.ts',
    find: 'if (this.#isStopped || this.#options.machine.appliedIndex === this.#savedIndex) return last()',
    replace: 'if (this.#options.machine.appliedIndex === this.#savedIndex) return last()',
    expected: [],
    test: {
      file: 'src/node/checkpointer.test.ts',
      name: 'that fails while it is asked to stop says so, and the stop ends (seed 31000564)',
    },
  },
  {
    id: 'B54',
    what: 'what was taken of a node is forgotten with its membership',
    file: 'src/state/nodes.ts',
    find: '  node.isRetired = true\n',
    replace: '  node.isRetired = true\n  node.sequence = 0\n',
    expected: [],
    test: {
      file: 'src/state/membership.test.ts',
      name: 'what was taken of a node before its removal is not taken again when it is back, however far its clock is ahead (seed 31001124)',
    },
  },
  {
    id: 'B57',
    what: 'a snapshot is taken of a log that does not reach to the state, for its end is being mended',
    file: 'src/node/snapshot-source.ts',
    find: ' || appliedIndex > log.lastId.index) {',
    replace: ') {',
    expected: [],
    test: {
      file: 'test/storage/rotten-snapshot.test.ts',
      name: 'the log of a snapshot that ends before the state, for its end has rotted and is being mended: nothing is given until it is here (seed 35008855)',
    },
  },
  {
    id: 'B58',
    what: 'a node whose log is being mended reads what its state knows of',
    file: 'src/node/raft-view.ts',
    find: "  if (raft.role === 'recovering') return undefined\n",
    replace: '',
    expected: [],
    test: {
      file: 'src/node/raft-view.test.ts',
      name: 'a node whose log is being mended is asked for no body: its state knows of entries that its log does not reach to yet',
    },
  },
  {
    id: 'B59',
    what: 'a mark that a repair has lowered is forgotten for the one that was told before',
    file: 'src/storage/hard-state.ts',
    find: 'if (record.mark !== this.#record.mark) this.#nextMark',
    replace: 'if (record.mark > this.#nextMark.index) this.#nextMark',
    expected: [],
    test: {
      file: 'test/storage/log-repair.test.ts',
      name: 'where a log ends that was superseded is its mark also when it is closed: the next start misses nothing',
    },
  },
  {
    id: 'B60',
    what: 'that the mended log shows an old hard state is forgotten with the process',
    file: 'src/storage/open-log.ts',
    find: 'const isVoteWithheld = record.isVoteWithheld || record.term < whole.last.term',
    replace: 'const isVoteWithheld = record.isVoteWithheld',
    expected: [],
    test: {
      file: 'test/storage/log-repair.test.ts',
      name: 'a hard state that the mended log shows to be an old one withholds the vote, and at later starts too',
    },
  },
  {
    id: 'B61',
    what: 'of what could be carried the first is remembered, whether it holds the log or not',
    file: 'src/broker/retention-watch.ts',
    find: 'round.candidates = byIndex(round.candidates).slice(0, candidatesMax)',
    replace: 'round.candidates.length = candidatesMax',
    expected: [],
    test: {
      file: 'src/broker/retention-watch.test.ts',
      name: 'more than one round remembers is carried all the same, and nothing of it is lost meanwhile',
    },
  },
  {
    id: 'B62',
    what: 'a refusal is held back beyond its caller’s deadline',
    file: 'src/rpc/messaging/receive-message.ts',
    find: 'Math.min(context.clock.nowMs() + refusedHoldMs, answerByMs)',
    replace: 'Math.min(context.clock.nowMs() + refusedHoldMs, answerByMs + refusedHoldMs)',
    expected: [],
    test: {
      file: 'src/rpc/messaging/receive-message.test.ts',
      name: 'ReceiveMessage that is refused late is answered before its caller gives up',
    },
  },
  {
    id: 'B63',
    what: 'a peer that is there again is dialled when the next try is due, and not before',
    file: 'raft/driver/transport.ts',
    find: '    if (!slot.isOurs) this.#dialWhatWaits(peer)\n',
    replace: '    if (slot.isOurs) this.#dialWhatWaits(peer)\n',
    expected: [],
    test: {
      file: 'chaos/sim/raft-links.test.ts',
      name: 'the links of a Raft node are both there when one is: who is greeted by a peer does not wait with a try of its own (seed 36006675)',
    },
  },
  {
    id: 'B64',
    what: 'what is refused of a node that is no member is forgotten, and a copy of it taken when the node is back',
    file: 'src/state/machine.ts',
    find: '      noteRefusal(this.#state, envelope, this.#state.membership.memberIds.has(node))\n',
    replace: '      void noteRefusal\n',
    expected: [],
    test: {
      file: 'src/state/membership.test.ts',
      name: 'what was refused of a node while it was no member is not taken when it is back, however far its clock is ahead (seed 40004998)',
    },
  },
  {
    id: 'X103',
    what: 'what comes late of a former life ends the session of who has its number now',
    file: 'src/state/nodes.ts',
    find: '  if (hasSession ? envelope.incarnation !== node.incarnation : envelope.incarnation < node.incarnation) return\n',
    replace: '  if (!hasSession && envelope.incarnation < node.incarnation) return\n',
    expected: [],
    test: {
      file: 'src/state/membership.test.ts',
      name: 'what comes late of a former life does not end the session of who has its number now',
    },
  },
  {
    id: 'B65',
    what: 'what waits in the sockets after a pause is answered with the calendar of before it',
    file: 'raft/driver/loop.ts',
    find: "    if (this.#isTickHeld) core.step({ kind: 'woke'",
    replace: "    if (this.#isTickHeld && this.#isStopped) core.step({ kind: 'woke'",
    expected: [],
    test: {
      file: 'chaos/sim/raft-group.test.ts',
      name: 'three Raft nodes on simulated seams tell after a pause what the calendar shows now, and not what it showed before (seed 40005108)',
    },
  },
]
