import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { v1 } from './client.ts'
import { statusScreen } from './cluster.ts'
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
  expect(statusScreen(status)).toMatchInlineSnapshot(`
    "shop  leader n2 · term 7, committed 1 234 567 entries, 12 topics, 4 groups · level 0 · as n1 sees it

    NODE  ROLE                     CLIENTS AT     TERM    APPLIED    DURABLE    LAG  SYNC P99  CLIENTS  LOG      DISK  MEMORY   UP
    n1    follower                 10.0.0.1:8081     7  1 234 567  1 234 567      0  4.3 ms          3  4.7 GiB  -     114 MiB  1 h
    n2    leader                   10.0.0.2:8081     7  1 234 567  1 234 567      0  4.3 ms          3  4.7 GiB  -     114 MiB  1 h
    n3    unreachable, was leader  10.0.0.3:8081     6  1 234 567  1 234 567  5 000  4.3 ms          3  4.7 GiB  -     114 MiB  1 h

    n2 became leader in term 7, 2 min ago: elected by 1, 2"
  `)
})

test('without a leader it says so', () => {
  expect(statusScreen(v1.ClusterStatusResponse.create({ clusterName: 'shop', answeredBy: 1, nodes: [follower] }))).toContain(
    'leader none known',
  )
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
  )
  expect(screen).toContain('committed 1 entry, 1 topic, 1 group ·')
  expect(screen).toContain('what others had acknowledged behind entry 70 may be lost')
})
