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
    expected: ['I12', 'I1', 'I2', 'A46'],
    profile: 'elections',
  },
  {
    id: 'R02',
    what: 'votes are asked for before our own term and vote are on disk',
    file: 'raft/core/node-state.ts',
    find: 'after: node.durability.hardState, message }',
    replace: `after: message.kind === 'vote' ? (0 as typeof node.durability.hardState) : node.durability.hardState, message }`,
    expected: ['I12', 'I2', 'A46', 'assertion:I12-vote-request-ungated'],
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
    id: 'R04',
    what: 'a grant of an earlier term counts',
    file: 'raft/core/core.ts',
    find: `if (message.term < node.term) return refuse(node, 'R-03-stale-reply')`,
    replace: `if (message.term < node.term && message.kind !== 'voteReply') return refuse(node, 'R-03-stale-reply')`,
    expected: [],
    test: { file: 'raft/test/scenario.test.ts', name: 'late-grant.txt' },
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
    id: 'R06',
    what: 'a refused vote puts our own election off',
    file: 'raft/core/election.ts',
    find: `  } else refuse(node, reason)
  const isConditional`,
    replace: `  } else {
    refuse(node, reason)
    if (node.role.kind === 'follower') node.role.electionDeadlineMs = nextElectionDeadline(node)
  }
  const isConditional`,
    expected: [],
    test: { file: 'raft/test/scenario.test.ts', name: 'pesterer.txt' },
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
    id: 'R08',
    what: 'the higher term in a refused pre-vote is ignored',
    file: 'raft/core/core.ts',
    find: '  if (message.term > node.term) {',
    replace: `  if (message.term > node.term && message.kind !== 'preVoteReply') {`,
    expected: [],
    test: { file: 'raft/test/scenario.test.ts', name: 'higher-term-deposes.txt' },
  },
  {
    id: 'R09',
    what: 'a leader ignores the higher term in its followers’ refusals',
    file: 'raft/core/core.ts',
    find: '  if (message.term > node.term) {',
    replace: `  if (message.term > node.term && message.kind !== 'heartbeatReply' && message.kind !== 'appendRefused') {`,
    expected: [],
    test: { file: 'raft/test/scenario.test.ts', name: 'later-term-beats-longer-log.txt' },
  },
  {
    id: 'R10',
    what: 'votes are given while a leader is heard',
    file: 'raft/core/election.ts',
    find: `  if (node.role.kind === 'leader') return true
  const { lease } = node`,
    replace: `  if (node.role.kind === 'leader') return true
  if (asker !== 0) return false
  const { lease } = node`,
    expected: [],
    test: { file: 'raft/test/scenario.test.ts', name: 'lease-protects-leader.txt' },
  },
  {
    id: 'R11',
    what: 'half of the members are a majority',
    file: 'raft/core/quorum.ts',
    find: 'return Math.floor(voters / 2) + 1',
    replace: 'return Math.max(1, Math.floor(voters / 2))',
    expected: ['I1', 'I12', 'A46', 'A47', 'I5'],
  },
  {
    id: 'M03',
    what: 'a term heard from others is not kept on disk',
    file: 'raft/core/node-state.ts',
    find: `: nextElectionDeadline(node)), reason)
  persistHardState(node)
`,
    replace: `: nextElectionDeadline(node)), reason)
`,
    expected: ['I12', 'I2', 'A46', 'A48'],
    profile: 'elections',
  },
  {
    id: 'M17',
    what: 'a pre-vote raises the term',
    file: 'raft/core/election.ts',
    find: '  node.round++\n',
    replace: '  node.round++\n  startTerm(node)\n',
    expected: ['A52'],
  },
  {
    id: 'M18',
    what: 'a leader that hears no majority goes on leading',
    file: 'raft/core/leading.ts',
    find: '  if (!hearsMajority(node, leader)) {',
    replace: '  if (!hearsMajority(node, leader) && nowMs < 0) {',
    expected: ['I18', 'A53', 'A52'],
  },
  {
    id: 'M26',
    what: 'what the leader says does not put our election off',
    file: 'raft/core/following.ts',
    find: '  role.electionDeadlineMs = nextElectionDeadline(node)\n  role.earlyDeadlineMs = Infinity',
    replace: '  role.earlyDeadlineMs = Infinity',
    expected: [],
    test: { file: 'raft/test/scenario.test.ts', name: 'check-quorum.txt' },
  },
  {
    id: 'M27',
    what: 'all nodes wait equally long before an election',
    file: 'raft/core/node-state.ts',
    find: 'return node.nowMs + node.config.electionTimeoutMs * (1 + node.jitter)',
    replace: 'return node.nowMs + node.config.electionTimeoutMs',
    expected: [],
    test: {
      file: 'raft/test/paper/elections.test.ts',
      name: '§5.2: election timeouts are drawn from [T, 2T), so that split votes are rare and end soon',
    },
  },
  {
    id: 'X01',
    what: 'an answer to an earlier pre-vote round counts in the present one',
    file: 'raft/core/election.ts',
    find: `role.kind !== 'preCandidate' || reply.round !== role.round`,
    replace: `role.kind !== 'preCandidate'`,
    expected: [],
    test: { file: 'raft/test/paper/pre-vote-check-quorum.test.ts', name: 'thesis 9.6: a word for an earlier round counts no more' },
  },
  {
    id: 'X02',
    what: 'conditional votes count like any other',
    file: 'raft/core/quorum.ts',
    find: `return granted >= majorityOf(slots.length) ||`,
    replace: `return granted + conditional >= majorityOf(slots.length) ||`,
    expected: [],
    test: { file: 'raft/core/quorum.test.ts', name: 'ballots ["granted","conditional","open"]: won is false' },
  },
  {
    id: 'X03',
    what: 'a node with a torn tail votes as if it had its whole log',
    file: 'raft/core/election.ts',
    find: `  return node.logTrust === 'torn'`,
    replace: '  return false',
    expected: [],
    test: { file: 'raft/test/scenario.test.ts', name: 'torn-tail-votes.txt' },
  },
  {
    id: 'X04',
    what: 'a refused vote counts as a grant',
    file: 'raft/core/election.ts',
    find: `  if (reply.granted) return maybeLead(node, role)`,
    replace: `  role.ballots[slot] = 'granted'\n  if (role.ballots[slot] === 'granted') return maybeLead(node, role)`,
    expected: ['I1', 'A46', 'I5'],
    profile: 'elections',
  },
  {
    id: 'X05',
    what: 'a vote is given twice in a term',
    file: 'raft/core/election.ts',
    find: `  if (node.votedFor !== undefined && node.votedFor !== from) return 'R-06-voted-for-another'\n`,
    replace: '',
    expected: ['I1', 'A46', 'I2'],
    profile: 'elections',
  },
  {
    id: 'X06',
    what: 'a candidate leads before its own vote is on disk',
    file: 'raft/core/election.ts',
    find: `  if (!isHardStateDurable(node.durability) || !isVoteWon(electorate, role.ballots)) return`,
    replace: `  const { ownSlot } = node.members
  if (ownSlot !== undefined) role.ballots[ownSlot] = 'granted'
  if (!isVoteWon(electorate, role.ballots)) return`,
    expected: [],
    test: {
      file: 'raft/test/paper/elections.test.ts',
      name: 'Figure 2: a candidate asks for votes, and counts its own, only when its new term is on disk',
    },
  },
  {
    id: 'X08',
    what: 'a stale vote request is granted in the present term',
    file: 'raft/core/election.ts',
    find: `function whyNoVote(node: NodeState, from: NodeId, request: Vote): Refusal | undefined {
  if (request.term < node.term) return 'R-02-stale-term'
`,
    replace: `function whyNoVote(node: NodeState, from: NodeId, request: Vote): Refusal | undefined {
`,
    expected: [],
    test: {
      file: 'raft/test/paper/elections.test.ts',
      name: '§5.1: a request of an older term is refused, changes nothing, and its sender is told the present term',
    },
  },
  {
    id: 'X09',
    what: 'a leader that gives up does not withdraw its unsent appends',
    file: 'raft/core/node-state.ts',
    find: `if (message.kind !== 'append') messages[kept++] = message`,
    replace: `messages[kept++] = message`,
    expected: [],
    test: { file: 'raft/core/core.test.ts', name: 'a leader that falls within a turn takes its unsent appends back' },
  },
  {
    id: 'X10',
    what: 'a leader that gives up leaves its proposals without an end',
    file: 'raft/core/node-state.ts',
    find: '  abandonProposals(node.proposals, node.uncommitted, node.output.outcomes)\n',
    replace: '',
    also: [
      {
        file: 'raft/core/node-state.ts',
        find: 'import { abandonProposals, createProposals }',
        replace: 'import { createProposals }',
      },
    ],
    expected: ['assertion:I19-proposals-without-leading'],
  },
  {
    id: 'U117',
    what: 'a leader that was taken for dead and speaks again protects nobody from elections',
    file: 'raft/core/following.ts',
    find: '  node.hasLostLeader = false\n',
    replace: '',
    expected: [],
    test: { file: 'raft/test/scenario.test.ts', name: 'early-election-false-alarm.txt' },
  },
]
