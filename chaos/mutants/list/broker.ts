/** Mutants of the gateway: proposals, receives, acks, what the leader watches. */
import type { Mutant } from '../mutant.ts'

export const brokerMutants: readonly Mutant[] = [
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
  },
]
