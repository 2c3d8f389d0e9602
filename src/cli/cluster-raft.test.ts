import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { v1 } from './client.ts'
import { raftScreen } from './cluster-raft.ts'
import { wrapped } from './terminal.ts'

beforeAll(() => {
  vi.stubEnv('FORCE_COLOR', undefined)
  vi.stubEnv('NO_COLOR', '1')
})
afterAll(() => {
  vi.unstubAllEnvs()
})

const entry = (index: number) => ({ index, term: 7 })
const raft = {
  votedFor: 2,
  purged: { index: 0, term: 0 },
  snapshot: entry(1_234_000),
  applied: entry(1_234_567),
  commit: entry(1_234_567),
  durable: entry(1_234_570),
  last: entry(1_234_580),
  epochTaken: 320,
  epochDurable: 318,
  epochHardState: 12,
  membership: {
    index: 900,
    committedIndex: 1,
    phase: 'joint',
    voters: [1, 2, 3, 4],
    outgoing: [1, 2, 3],
    learners: [5],
    goal: [1, 2, 4],
    removed: [6, 7],
  },
  pools: [
    { pool: 'unwritten', bytes: 67_000_000, bytesMax: 67_108_864, refused: 12 },
    { pool: 'uncommitted', bytes: 1_024, bytesMax: 67_108_864, refused: 0 },
  ],
  refusals: [{ code: 'R-13-gap', count: 4 }],
  syncs: 12_345,
  entriesPerSync: 3.24,
  syncP50Ms: 0.61,
  syncP99Ms: 1.94,
  syncLatelyMs: 0.71,
}
const leader = {
  id: 2,
  name: 'n2',
  role: 'leader',
  term: 7,
  leader: 2,
  incarnation: 4,
  isConnected: true,
  ageMs: 600,
  digest: '5c89358459e1dea23363a8af52bc6c68',
  digestIndex: 1_234_567,
  roleChanges: [{ ageMs: 90_000, from: 'candidate', to: 'leader', term: 7, reason: 'elected by 1, 2' }],
  raft: {
    ...raft,
    peers: [
      { id: 1, state: 'replicate', matchedIndex: 1_234_580, durableIndex: 1_234_570, appliedIndex: 1_234_560, sinceContactMs: 12 },
      { id: 3, state: 'snapshot', lagBytes: 5_000_000_000 },
    ],
    links: [
      { peer: 1, control: true, data: true },
      { peer: 3, control: true, data: false, lastProblem: 'connect ECONNREFUSED 10.0.0.3:7081' },
    ],
  },
}
const follower = { ...leader, id: 1, name: 'n1', role: 'follower', ageMs: 0, raft: { ...raft, sinceLeaderMs: 31, pools: [], links: [] } }
const fetching = {
  ...follower,
  id: 3,
  name: 'n3',
  isConnected: false,
  ageMs: 9_000,
  raft: { ...raft, isVoteConditional: true, fetch: { from: 2, index: 1_200_000, bytesHere: 30, bytesTotal: 120 } },
}
const status = v1.ClusterStatusResponse.create({
  clusterName: 'shop',
  answeredBy: 1,
  leader: 2,
  term: 7,
  nodes: [follower, leader, fetching, { id: 4, name: 'n4', isConnected: true }],
})

const members = v1.ListMembersResponse.create({
  members: [
    { id: 1, name: 'n1', role: v1.Member.Role.VOTER },
    { id: 5, name: 'n5', role: v1.Member.Role.LEARNER },
    { id: 6, name: 'n6', role: v1.Member.Role.REMOVED },
  ],
})

test('one screen says of each node what it is, how far it is, whom it feeds, what it refused and why its role changed', () => {
  const screen = raftScreen(status, members, status.nodes, 160)
  for (const text of [
    'shop  leader n2 · term 7 · as n1 sees it',
    'n1  follower of n2 · for 2 min',
    'heard it 31 ms ago',
    'voted for n2',
    'told 600 ms ago',
    'purged 0 · snapshot 1 234 000 (7) · applied 1 234 567 (7) · committed 1 234 567 (7) · durable 1 234 570 (7)',
    'joint since entry 900, not committed (1 is) · voters n1 n2 n3 n4 · and of n1 n2 n3 · learners n5 · goal n1 n2 n4',
    'removed, still told: n6 node 7',
    '320 given out · 318 on disk · 12 of term and vote',
    '12 345 syncs of 3.2 entries · p50 0.6 ms · p99 1.9 ms · lately 0.7 ms',
    'unwritten 63.9 MiB of 64.0 MiB, refused 12 · uncommitted 1.0 KiB of 64.0 MiB',
    '5c89358459e1dea23363a8af52bc6c68 at entry 1 234 567',
    'R-13-gap 4',
    'n3 control only: connect ECONNREFUSED 10.0.0.3:7081',
    'candidate → leader, term 7: elected by 1, 2',
    'n3    snapshot',
    'unreachable, was follower',
    'fetches a snapshot at entry 1 200 000 from n2: 25 %',
    'its votes are conditional',
    'it has not told of its Raft yet',
  ])
    expect(screen).toContain(text)
})

test.each([76, 80, 120])('a screen of %i columns is no wider', width => {
  const lines = raftScreen(status, members, status.nodes, width).split('\n').map(stripVTControlCharacters)
  const text = lines.filter(line => !/ {2}(?:PEER|n\d) {2,}/.test(line))
  expect(text.filter(line => line.length > width)).toEqual([])
})

test('the table of peers fits into 80 columns', () => {
  const rows = raftScreen(status, members, status.nodes, 80).split('\n')
  expect(rows.filter(line => line.startsWith('  n3  ')).map(line => line.length)[0]).toBeLessThanOrEqual(80)
})

test('items are wrapped behind their label, colours take no room, and an item that is too long stands alone', () => {
  expect(wrapped(['aa', 'bb', 'cc'], ', ', 8, 'x ', '  ')).toEqual(['x aa, bb', '  cc'])
  expect(wrapped(['\u001b[31maa\u001b[39m', 'bb'], ', ', 8, 'x ', '  ')).toHaveLength(1)
  expect(wrapped(['aaaaaaaaaaaa', 'b'], ', ', 8, 'x ', '  ')).toEqual(['x aaaaaaaaaaaa', '  b'])
  expect(wrapped([], ', ', 8, 'x ', '  ')).toEqual([])
})
