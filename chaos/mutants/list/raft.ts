/** Mutants of the Raft core and its driver. */
import type { Mutant } from '../mutant.ts'

export const electionMutants: readonly Mutant[] = [
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
  },
  {
    id: 'M02',
    what: 'a vote is told before it is on disk',
    file: 'raft/core/node-state.ts',
    find: 'after: node.durability.hardState, message }',
    replace: `after: message.kind === 'voteReply' ? (0 as typeof node.durability.hardState) : node.durability.hardState, message }`,
    expected: ['I1', 'I12', 'A46'],
    profile: 'elections',
  },
  {
    id: 'R03',
    what: 'stepping down within a term forgets the vote given in it',
    file: 'raft/core/node-state.ts',
    find: '  changeRole(node, newFollower(leaderId, nextElectionDeadline(node)), reason)\n}\n\n/** What a leader owes',
    replace:
      '  node.votedFor = undefined\n  changeRole(node, newFollower(leaderId, nextElectionDeadline(node)), reason)\n}\n\n/** What a leader owes',
    expected: ['I2', 'A46'],
    profile: 'elections',
  },
  {
    id: 'R05',
    what: 'logs are compared by length before term',
    file: 'raft/core/ids.ts',
    find: 'return a.term === b.term ? a.index - b.index : a.term - b.term',
    replace: 'return a.index === b.index ? a.term - b.term : a.index - b.index',
    expected: ['I5', 'A1', 'A47'],
    profile: 'rewrites',
  },
  {
    id: 'R07',
    what: 'a pre-vote question clears our vote',
    file: 'raft/core/election.ts',
    find: '  const reason = whyNoPreVote(node, from, request)\n  const granted = reason === undefined\n  if (granted) giveWay(node)',
    replace:
      '  node.votedFor = undefined\n  const reason = whyNoPreVote(node, from, request)\n  const granted = reason === undefined\n  if (granted) giveWay(node)',
    expected: [
      'I2',
      'A46',
      'assertion:I1-leads-without-own-vote',
      'assertion:I2-candidate-votes-for-itself',
      'assertion:candidate-without-vote',
      'assertion:leads-without-own-vote',
    ],
    profile: 'elections',
  },
  {
    id: 'R11',
    what: 'half of the members are a majority',
    file: 'raft/core/quorum.ts',
    find: 'return Math.floor(voters / 2) + 1',
    replace: 'return Math.max(1, Math.floor(voters / 2))',
    expected: ['I1', 'I12', 'A46', 'A47', 'I5'],
  },
]
