/** The mutants. A change of the product that moves one of the texts fails chaos/mutants/mutants.test.ts: then the mutant moves with it. */
import type { Mutant } from './mutant.ts'

export const mutants: readonly Mutant[] = [
  {
    id: 'M01',
    what: 'a vote is granted without looking at the candidate’s log',
    file: 'raft/core/election.ts',
    find: `leaderId !== from) return 'R-04-lease'
  if (compareLogEnds(request.last, lastId(node.log)) < 0) return 'R-07-log-behind'`,
    replace: `leaderId !== from) return 'R-04-lease'`,
    also: [
      {
        file: 'raft/core/election.ts',
        find: `  if (compareLogEnds(request.last, lastId(node.log)) < 0) return 'R-07-log-behind'
  if (isLeaseAlive`,
        replace: `  if (isLeaseAlive`,
      },
    ],
    expected: ['I5', 'A1', 'A47'],
    profile: 'elections',
    seeds: 100,
  },
  {
    id: 'M02',
    what: 'a vote is told before it is on disk',
    file: 'raft/core/node-state.ts',
    find: 'after: node.durability.hardState, message }',
    replace: `after: message.kind === 'voteReply' ? (0 as typeof node.durability.hardState) : node.durability.hardState, message }`,
    expected: ['A46'],
    profile: 'elections',
    seeds: 400,
  },
  {
    id: 'M07',
    what: 'the answer to an append names the last entry of the log instead of the end of the request',
    file: 'raft/core/following.ts',
    find: 'const matchedIndex = role.verifiedIndex',
    replace: 'const matchedIndex = node.log.lastIndex',
    expected: ['A1', 'A47', 'I5', 'I12'],
    profile: 'rewrites',
    seeds: 200,
  },
  {
    id: 'M13',
    what: 'a follower answers before its entries are on disk',
    file: 'raft/core/following.ts',
    find: 'const durableIndex = Math.min(matchedIndex, node.durability.durableIndex) as LogIndex',
    replace: 'const durableIndex = matchedIndex',
    also: [{ file: 'raft/core/following.ts', find: 'if (!isNew) report(node, role, from)', replace: 'report(node, role, from)' }],
    expected: ['I12', 'A1'],
    profile: 'power',
    seeds: 20,
  },
  {
    id: 'M28',
    what: 'a proposal that was forwarded twice, because the leader changed, is applied twice',
    file: 'src/state/machine.ts',
    find: 'if (isCopy(this.#state, envelope)) return undefined',
    replace: 'void isCopy',
    expected: ['A8'],
    profile: 'swarm',
    seeds: 100,
  },
  {
    id: 'M43',
    what: 'the queue offset is taken when the send is proposed, not when it is applied',
    file: 'src/broker/send.ts',
    find: `proposeForReply(broker, command, deadlineMs, outcome => finish(outcome.kind === 'refused' ? outcome : answerOf(request, outcome)))`,
    replace: `const known = broker.view.topic(topic)
  const next = known === undefined ? [] : broker.view.queues(known.topicId).map(queue => queue.nextOffset)
  proposeForReply(broker, command, deadlineMs, outcome => {
    const answer = outcome.kind === 'refused' ? outcome : answerOf(request, outcome)
    if (answer.kind !== 'sent') return finish(answer)
    finish({ ...answer, entries: answer.entries.map((entry, i) => ({ ...entry, offset: ((next[entry.queueId] ?? 0) + i) as typeof entry.offset })) })
  })`,
    expected: ['A10'],
    profile: 'swarm',
    seeds: 20,
  },
  {
    id: 'M46',
    what: 'a change of leader forgets which messages are invisible',
    file: 'src/state/machine.ts',
    find: '    this.#advance(entry)\n  }\n\n  #run(',
    replace: `    this.#advance(entry)
    const { rows } = this.#state.inFlight
    if (entry.kind === entryKinds.noop) for (const row of rows.handles()) if (isOutstanding(rows, row)) makeVisible(this.#state, row, false)
  }

  #run(`,
    also: [
      {
        file: 'src/state/machine.ts',
        find: "import { newInFlight } from './in-flight.ts'",
        replace: "import { isOutstanding, newInFlight } from './in-flight.ts'\nimport { makeVisible } from './deliveries.ts'",
      },
    ],
    expected: ['A26'],
    profile: 'deliveries',
    seeds: 40,
  },
  {
    id: 'M47',
    what: 'invisible times run by the clock of the machine that applies',
    file: 'src/node/broker-node.ts',
    find: 'this.#state.machine.apply(entry)',
    replace: 'this.#state.machine.apply({ ...entry, wallMs: this.#options.seams.clock.wallMs() })',
    expected: ['A49'],
    profile: 'swarm',
    seeds: 5,
  },
  {
    id: 'M66',
    what: 'sends are recognised by their client alone',
    file: 'src/broker/hash.ts',
    find: 'JSON.stringify([topic, clientId, messageId])',
    replace: 'JSON.stringify([clientId])',
    also: [
      {
        file: 'src/state/dedupe.ts',
        find: 'if (hasKey(dedupe.rows, row, dedupeKey) && hasFingerprint(dedupe.rows, row, fingerprint)) {',
        replace: 'if (hasKey(dedupe.rows, row, dedupeKey)) {',
      },
    ],
    expected: ['A1'],
    profile: 'swarm',
    seeds: 5,
  },
  {
    id: 'prevCrc',
    what: 'a record is not checked against the one before it: a truncated suffix comes back to life',
    file: 'src/storage/record.ts',
    find: "  if (view.getUint32(position + at.prevCrc, true) !== link.headerCrc) return 'prevCrc'\n",
    replace: '',
    expected: ['A47'],
    profile: 'rewrites',
    seeds: 400,
  },
]
