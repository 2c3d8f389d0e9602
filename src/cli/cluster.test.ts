import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { v1 } from './client.ts'
import { statusScreen } from './cluster-screen.ts'
import { waitsFor } from './change-under-way.ts'
import { membersScreen } from './member.ts'
import { notEnded } from './wait-for-change.ts'
import { bytesShown, count, durationShown, table } from './terminal.ts'

beforeAll(() => {
  vi.stubEnv('FORCE_COLOR', undefined)
  vi.stubEnv('NO_COLOR', '1')
})
afterAll(() => {
  vi.unstubAllEnvs()
})

const follower = {
  id: 1,
  name: 'n1',
  clientAddress: '10.0.0.1:8081',
  isUp: true,
  isConnected: true,
  role: 'follower',
  term: 7,
  appliedIndex: 1_234_567,
  durableIndex: 1_234_567,
  sync: { p99Ms: 4.25 },
  clients: 3,
  logBytes: 5_000_000_000,
  rssBytes: 120_000_000,
  uptimeMs: 3_600_000,
}

test('one screen says who leads, who is not there, how far everybody is and why the leader changed last', () => {
  const leader = {
    ...follower,
    id: 2,
    name: 'n2',
    clientAddress: '10.0.0.2:8081',
    role: 'leader',
    roleChanges: [{ ageMs: 90_000, from: 'candidate', to: 'leader', term: 7, reason: 'elected by 1, 2' }],
  }
  const dead = {
    ...follower,
    id: 3,
    name: 'n3',
    clientAddress: '10.0.0.3:8081',
    role: 'leader',
    term: 6,
    isUp: false,
    isConnected: false,
    lag: 5_000,
    ageMs: 91_000,
  }
  const status = v1.ClusterStatusResponse.create({
    clusterName: 'shop',
    answeredBy: 1,
    leader: 2,
    term: 7,
    commitIndex: 1_234_567,
    topics: 12,
    groups: 4,
    nodes: [follower, leader, dead],
  })
  expect(statusScreen(status, threeVoters)).toMatchInlineSnapshot(`
    "shop  leader n2 · term 7 · committed 1 234 567 entries · 12 topics · 4 groups · level 0
      as n1 sees it

    NODE  ROLE         CLIENTS AT       APPLIED    LAG  SYNC P99  CLIENTS  LOG      DISK  MEMORY   UP
    n1    follower     10.0.0.1:8081  1 234 567      0  4.3 ms          3  4.7 GiB  -     114 MiB  1 h
    n2    leader       10.0.0.2:8081  1 234 567      0  4.3 ms          3  4.7 GiB  -     114 MiB  1 h
    n3    unreachable  10.0.0.3:8081  1 234 567  5 000  4.3 ms          3  4.7 GiB  -     114 MiB  1 h

    n3 is unreachable: its row is what it said 2 min ago, as leader
    n2 became leader in term 7, 2 min ago: elected by 1, 2"
  `)
})

const { VOTER, LEARNER, REMOVED } = v1.Member.Role
const memberAt = (id: number, role = VOTER) => ({
  id,
  name: `n${id}`,
  role,
  peerAddress: `10.0.0.${id}:7081`,
  clientAddress: `10.0.0.${id}:8081`,
})
const threeVoters = v1.ListMembersResponse.create({ phase: 'steady', members: [memberAt(1), memberAt(2), memberAt(3)] })
const gone = { isUp: false, isConnected: false }
const statusOf = (leader: number, ...nodes: object[]) =>
  v1.ClusterStatusResponse.create({ clusterName: 'shop', answeredBy: 1, leader, term: 7, commitIndex: 1_234_567, nodes })

test('without a leader it says how many voters answer, how many are needed, and whom to start', () => {
  const others = [2, 3].map(id => ({ ...follower, id, name: `n${id}`, ...gone }))
  const screen = statusScreen(statusOf(0, follower, ...others), threeVoters, 200)
  expect(screen).toContain('leader none known')
  expect(screen).toContain('1 of 3 voters answers; 2 are needed: start n2 or n3; if they are lost for good: docs/lost-quorum.md')
  expect(statusScreen(statusOf(1, follower, ...others), threeVoters, 200)).not.toContain('are needed')
  const five = v1.ListMembersResponse.create({ members: [1, 2, 3, 4, 5].map(id => memberAt(id)) })
  expect(statusScreen(statusOf(0, follower), five, 200)).toContain('1 of 5 voters answers; 3 are needed: start 2 of n2, n3, n4, n5;')
  const all = statusScreen(statusOf(0, follower, { ...follower, id: 2 }), threeVoters, 200)
  expect(all).toContain('2 of 3 voters answer, which is enough: an election is under way')
})

/** n1 leads and feeds n4. */
function feeding(peer: object, link: object = {}) {
  const raft = { peers: [{ id: 4, ...peer }], links: [{ peer: 4, ...link }] }
  const status = statusOf(1, { ...follower, role: 'leader', lastIndex: 1_234_567, raft })
  const members = v1.ListMembersResponse.create({ phase: 'catchUp', members: [memberAt(1), { ...memberAt(4, LEARNER), joining: true }] })
  return { status, members }
}

test('a change under way has its learner in a row and says what it waits for', () => {
  const { status, members } = feeding({}, { lastProblem: 'connect ECONNREFUSED 10.0.0.4:7081' })
  const screen = statusScreen(status, members, 300)
  expect(screen).toMatch(/^n4 {2,}learner {2,}10\.0\.0\.4:8081 {2,}0 {2,}1 234 567/m)
  expect(screen).toContain(
    'a change of members waits for n4 at 10.0.0.4:7081, which has not answered yet (connect ECONNREFUSED 10.0.0.4:7081); start it, or give up: raftmq cluster member cancel',
  )
  expect(statusScreen(statusOf(1, follower), threeVoters, 300)).not.toContain('a change of members')
})

test.each<[object, string]>([
  [{}, 'n4 at 10.0.0.4:7081, which has not answered yet'],
  [{ sinceContactMs: 60_000 }, 'n4 at 10.0.0.4:7081, which has not answered for 1 min'],
  [{ sinceContactMs: 10, matchedIndex: 1_234_067, lagBytes: 2_048 }, 'n4 to catch up: 500 entries, 2.0 KiB to go'],
  [{ sinceContactMs: 10, state: 'snapshot', lagBytes: 2_048 }, 'n4 to catch up: it fetches a snapshot, 2.0 KiB to go'],
])('who leaves a change to itself is told what it waits for: %j', (peer, what) => {
  const { status, members } = feeding(peer)
  expect(waitsFor(members, status)).toBe(what)
  expect(notEnded({ status, members })).toMatch(/^the change is still under way, and waits for n4.*raftmq cluster member cancel$/)
  expect(notEnded({ status, members })).not.toContain('catchUp')
  expect(membersScreen(members, status)).toContain(`a change waits for ${what}`)
})

test('a healthy node that has just come back is up and not yet counted; one that lags counts as down; old rows are called old', () => {
  const leader = { ...follower, role: 'leader' }
  const noteOf = (node: object): string => statusScreen(statusOf(1, leader, { ...follower, id: 3, name: 'n3', ...node }), threeVoters, 200)
  expect(noteOf({ isUp: false, lag: 3 })).toContain('n3 is up, not yet counted: clients are sent there after 5 s of contact')
  expect(noteOf({ isUp: false, lag: 50_000 })).toContain('n3 counts as down, 50 000 entries behind')
  expect(noteOf({ ageMs: 5_000 })).toContain('n3 has said nothing for a while; its row is 5.0 s old')
  expect(noteOf({ ...gone, ageMs: 91_000, role: 'leader' })).toContain('n3 is unreachable: its row is what it said 2 min ago, as leader')
  expect(noteOf({ ...gone, role: '' })).toContain('n3 is unreachable, and has told nothing yet')
  expect(noteOf({ ageMs: 900 })).not.toContain('old')
})

test('a node that is no member says so first, and names another one to ask', () => {
  const view = (members: object[], own: object = {}): string =>
    statusScreen(
      statusOf(0, { ...follower, ...own }, { ...follower, id: 2, name: 'n2', clientAddress: 'b:8081' }),
      v1.ListMembersResponse.create({ members }),
      200,
    )
  expect(view([memberAt(1, REMOVED), memberAt(2)])).toMatch(
    /^n1 is no member \(any more\), and shows what it last knew; ask another one, as -e b:8081\n/,
  )
  expect(view([])).toMatch(/^n1 is no member yet: it waits for raftmq cluster member add n1; ask another one/)
  expect(view([memberAt(1), memberAt(2)], { role: 'removed' })).toMatch(
    /^n1 takes no part: it was removed, or its directory is not the one that votes/,
  )
  expect(view([memberAt(1, REMOVED), memberAt(2)])).not.toContain('are needed')
  expect(view([memberAt(1), memberAt(2)])).toMatch(/^shop {2}leader/)
})

test.each([80, 100])('a screen of %i columns is no wider, whatever there is to say', width => {
  const nodes = [1, 2, 3].map(id => ({
    ...follower,
    ...{
      id,
      name: `broker-${id}`,
      clientAddress: `broker-${id}.eu.example.com:8081`,
      isUp: false,
      isConnected: id === 1,
      lag: 1_000_000,
      ageMs: 9_000,
    },
    disk: { level: 'refuse', totalBytes: 100, freeBytes: 1, retainedBytes: 5_000_000_000 },
    recovered: { at: '2026-01-01T00:00:00.000Z', lastIndex: 12 },
    roleChanges: [{ ageMs: 90_000, from: 'candidate', to: 'leader', term: 7, reason: 'elected by 1, 2 '.repeat(12) }],
  }))
  const lines = statusScreen(statusOf(1, ...nodes), threeVoters, width).split('\n')
  expect(lines.filter(line => line.length > width)).toEqual([])
  expect(lines.join(' ')).toContain('its disk is so full that sends are refused')
})

test('numbers, sizes and times are readable', () => {
  expect([count(0), count(999), count(1_000), count(1_234_567), count(1.25)]).toEqual(['0', '999', '1 000', '1 234 567', '1.3'])
  expect([bytesShown(0), bytesShown(1_023), bytesShown(1_536), bytesShown(5e9)]).toEqual(['0 B', '1023 B', '1.5 KiB', '4.7 GiB'])
  expect([durationShown(12), durationShown(3_240), durationShown(240_000), durationShown(7_200_000), durationShown(3e8)]).toEqual([
    '12 ms',
    '3.2 s',
    '4 min',
    '2 h',
    '3 d',
  ])
})

test('a table has no frames, and numbers stand on the right', () => {
  expect(
    table(
      ['name', 'n'],
      [
        ['a', 1],
        ['bcd', 20_000],
      ],
    ),
  ).toBe('NAME       N\na          1\nbcd   20 000')
})

test('one topic is one topic, and what a recovery may have lost is not told as lost', () => {
  const recovered = { ...follower, recovered: { at: '2026-11-22T00:00:00Z', lastIndex: 70, index: 71 } }
  const screen = statusScreen(
    v1.ClusterStatusResponse.create({ clusterName: 'shop', answeredBy: 1, commitIndex: 1, topics: 1, groups: 1, nodes: [recovered] }),
    threeVoters,
    200,
  )
  expect(screen).toContain('committed 1 entry · 1 topic · 1 group ·')
  expect(screen).toContain('what others had acknowledged behind entry 70 may be lost')
})
