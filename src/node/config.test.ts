import { expect, test } from 'vitest'
import { exampleConfig } from './config-example.ts'
import { configKeys, environmentName } from './config-table.ts'
import type { ConfigKey } from './config-table.ts'
import { formatDuration, formatSize, parseDuration, parseHostPort, parseSize } from './config-units.ts'
import { ConfigError, nodeNamed, parseConfig } from './config.ts'
import type { ClusterConfig, Environment } from './config.ts'

const threeNodes = `version: 1
nodes:
  - { id: n1, host: a }
  - { id: n2, host: b }
  - { id: n3, host: c }
`

function read(more: string, environment: Environment = {}): ClusterConfig {
  return parseConfig('/etc/raftmq/cluster.yaml', threeNodes + more, environment)
}

function problems(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

test('cluster.example.yaml is made from the table', async () => {
  await expect(exampleConfig()).toMatchFileSnapshot('../../cluster.example.yaml')
})

test('the example says nothing but the defaults', () => {
  const nodes =
    '  - { id: n1, host: broker-1.internal }\n  - { id: n2, host: broker-2.internal }\n  - { id: n3, host: broker-3.internal }\n'
  expect(parseConfig('x.yaml', exampleConfig())).toEqual(parseConfig('x.yaml', `version: 1\nnodes:\n${nodes}`))
})

test('the example stays a file of this group through a replaced machine and a lost majority, as README and lost-quorum.md edit it', () => {
  const example = exampleConfig()
  const numbersOf = (text: string): number[] => parseConfig('x.yaml', text).nodes.map(({ number }) => number)
  const n4 = '  - { id: n4, number: 4, host: broker-4.internal, join: true }\n'
  const during = example.replace('  # One that comes later', `${n4}  # One that comes later`)
  expect(numbersOf(during)).toEqual([1, 2, 3, 4])
  const after = during.replace(/.*id: n2, .*\n/, '').replace(', join: true }\n  # One', ' }\n  # One')
  expect(numbersOf(after)).toEqual([1, 3, 4])
  const lost = (name: string, text: string): string => text.replace(new RegExp(`(id: ${name}, .*internal) }`), '$1, join: true }')
  expect(numbersOf(lost('n1', lost('n2', example)))).toEqual([1, 2, 3])
  expect(() => numbersOf(lost('n1', example))).toThrow(/begins with 1, 3 or 5/)
})

test('every default can be written and read back', () => {
  for (const key of Object.values(configKeys) as ConfigKey<unknown>[]) {
    const text = key.format(key.default)
    const value: unknown = typeof key.default === 'number' && /^\d+$/.test(text) ? Number(text) : text.replaceAll('"', '')
    expect(key.parse(value)).toEqual({ kind: 'ok', value: key.default })
  }
})

test('a node has its own values over those of all', () => {
  const config = parseConfig(
    '/etc/raftmq/cluster.yaml',
    `version: 1
nodes:
  - { id: n1, host: a }
  - { id: n2, host: b, listen: { client: ":9000" }, advertise: "mq.example.com:443", data_dir: /data }
  - { id: n3, host: "::1" }
listen: { peer: "0.0.0.0:7000" }
advertise: { default: "{id}.mq:{port}" }
`,
  )
  expect(config.nodes[0]).toEqual({
    number: 1,
    name: 'n1',
    host: 'a',
    clientListen: { host: '0.0.0.0', port: 8081 },
    peerListen: { host: '0.0.0.0', port: 7000 },
    peerAddress: { host: 'a', port: 7000 },
    advertise: { host: 'n1.mq', port: 8081 },
    dataDirectory: '/etc/raftmq/data',
    leaderPriority: 0,
    isJoining: false,
  })
  expect(nodeNamed(config, 'n2')).toMatchObject({
    number: 2,
    clientListen: { port: 9000 },
    advertise: { host: 'mq.example.com', port: 443 },
    dataDirectory: '/data',
  })
})

test.each([
  ['raft:\n  hartbeat: 50ms\n', 'cluster.yaml:7: unknown key raft.hartbeat; did you mean raft.heartbeat?'],
  ['heartbeat: 50ms\n', 'cluster.yaml:6: unknown key heartbeat; did you mean raft.heartbeat?'],
  ['zzz: 1\n', 'cluster.yaml:6: unknown key zzz; known here: version, nodes, cluster, listen'],
  ['raft:\n\n  heartbeat: 50\n', 'cluster.yaml:8: raft.heartbeat: 50 has no unit; write a duration like 250ms, 10s or 5m'],
  ['raft: { heartbeat: 64KiB }\n', 'cluster.yaml:6: raft.heartbeat: "64KiB": there is no duration unit KiB; use ms, s, m, h, d'],
  ['raft: { heartbeat: 1ms }\n', 'cluster.yaml:6: raft.heartbeat: 1ms is too small; from 10ms to 5s'],
  ['raft: { heartbeat: 100ms }\n', 'cluster.yaml:6: raft.election_timeout: 300ms is less than 4 heartbeats of 100ms'],
  ['raft:\n  heartbeat:\n', 'cluster.yaml:7: raft.heartbeat has no value; give it one or remove the line'],
  ['raft:\n', 'cluster.yaml:6: raft has no value; give it one or remove the line'],
  ['raft: 5\n', 'cluster.yaml:6: raft is 5; it takes keys of its own'],
  ['log: { segment_size: 4GiB }\n', 'cluster.yaml:6: log.segment_size: 4GiB is too large; from 1MiB to 2GiB'],
  ['log: { segment_size: 1GB }\n', 'cluster.yaml:6: log.segment_size: "1GB": there is no size unit GB; use B, KiB, MiB, GiB, TiB'],
  [
    'log: { segment_size: 1073741824 }\n',
    'cluster.yaml:6: log.segment_size: 1073741824 has no unit; write a size like 64KiB, 4MiB or 1GiB',
  ],
  ['log_output: { level: inof }\n', 'cluster.yaml:6: log_output.level: "inof" is not one of debug, info, warn, error; did you mean info?'],
  ['listen: { client: 8081 }\n', 'cluster.yaml:6: listen.client: 8081 is not an address; write one like 0.0.0.0:8081'],
  ['data_dir: a\ndata_dir: b\n', 'cluster.yaml:7: not valid YAML: Map keys must be unique'],
  ['a: [\n', 'not valid YAML'],
])('%j is answered with the line and what to do', (more, expected) => {
  const found = problems(() => read(more))
  expect(found).toHaveLength(1)
  expect(found[0]).toContain(expected)
  expect(found[0]).not.toContain('\n')
})

test.each([
  ['', 'cluster.yaml: version is missing'],
  ['nodes: []\n', 'cluster.yaml: version is missing'],
  ['version: 1\n', 'cluster.yaml: nodes is missing'],
  ['version: 2\nnodes: [{ id: n1, host: a }]\n', 'cluster.yaml:1: version: 2 is not a version'],
  ['version: 1\nnodes: 3\n', 'cluster.yaml:2: nodes is 3; it takes a list'],
  ['version: 1\nnodes:\n  - { id: n1 }\n', 'cluster.yaml:3: nodes[0].host is missing'],
  ['version: 1\nnodes:\n  - id: n1\n    hots: a\n    host: a\n', 'cluster.yaml:4: unknown key nodes[0].hots; did you mean nodes[0].host?'],
  ['version: 1\nnodes:\n  - { id: N_1, host: a }\n', 'cluster.yaml:3: nodes[0].id: "N_1" is not a node name'],
  [
    'version: 1\nnodes:\n  - { id: a, host: a }\n  - { id: b, host: a }\n',
    'cluster.yaml:2: nodes: a group begins with 1, 3 or 5 of them, not 2; write join: true for those that are added to it later, in one edit',
  ],
  [
    'version: 1\nnodes:\n  - { id: a, host: a }\n  - { id: b, host: b, join: true, number: 1 }\n',
    'cluster.yaml:4: nodes[1]: 1 is the number of nodes[0] already',
  ],
  [
    'version: 1\nnodes:\n  - { id: a, host: a }\n  - { id: b, host: a }\n  - { id: a, host: a }\n',
    'cluster.yaml:5: nodes[2].id: a is the name of nodes[0] already',
  ],
])('%j is refused too', (text, expected) => {
  expect(problems(() => parseConfig('cluster.yaml', text))[0]).toContain(expected)
})

test('several problems are all told, a line each', () => {
  expect(problems(() => read('raft: { hertbeat: 1s, election_timeout: 3 }\nfoo_bar_baz: 1\n'))).toHaveLength(3)
})

test('the environment wins over the file, and its mistakes are told by name', () => {
  expect(environmentName('log_output.level')).toBe('RAFTMQ_LOG_OUTPUT_LEVEL')
  const config = read('raft: { heartbeat: 20ms }\n', { RAFTMQ_RAFT_HEARTBEAT: '30ms', RAFTMQ_LOG_OUTPUT_LEVEL: 'warn' })
  expect(config.raft.heartbeatMs).toBe(30)
  expect(config.logOutput.level).toBe('warn')
  expect(problems(() => read('', { RAFTMQ_RAFT_HEARTBEAT: '30' }))).toEqual([
    'environment RAFTMQ_RAFT_HEARTBEAT: 30 has no unit; write a duration like 250ms, 10s or 5m',
  ])
})

test('a node that is not in the file is refused with the names that are', () => {
  const config = read('')
  expect(problems(() => nodeNamed(config, 'm1'))[0]).toContain('there is no node m1; did you mean n1?')
  expect(problems(() => nodeNamed(config, undefined))[0]).toContain('--node n1 or --node n2 or --node n3')
  expect(nodeNamed(parseConfig('x', 'version: 1\nnodes: [{ id: solo, host: a }]'), undefined).name).toBe('solo')
})

test.each([
  ['250ms', 250],
  ['10s', 10_000],
  ['1.5s', 1_500],
  ['5m', 300_000],
  ['72h', 259_200_000],
  ['7d', 604_800_000],
  ['0ms', 0],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toEqual({ kind: 'ok', value: ms })
  expect(parseDuration(formatDuration(ms))).toEqual({ kind: 'ok', value: ms })
})

test.each([
  ['64KiB', 65_536],
  ['4MiB', 4_194_304],
  ['1GiB', 1_073_741_824],
  ['512B', 512],
])('%s is %d bytes', (text, bytes) => {
  expect(parseSize(text)).toEqual({ kind: 'ok', value: bytes })
  expect(formatSize(bytes)).toBe(text)
})

test.each(['', '10', '1.0001ms', '-1s', '1e3s', 's', 'toString', '1constructor', true, null, {}, []])('%j is not a duration', value => {
  expect(parseDuration(value).kind).toBe('bad')
})

test('addresses may leave out the host and may be IPv6', () => {
  expect(parseHostPort(':80')).toEqual({ kind: 'ok', value: { host: '0.0.0.0', port: 80 } })
  expect(parseHostPort('[::1]:80')).toEqual({ kind: 'ok', value: { host: '::1', port: 80 } })
  for (const value of ['a', 'a:b', 'a:70000', '::1:80', 80]) expect(parseHostPort(value).kind).toBe('bad')
})

test.each([
  ['{ id: n2, host: a }', 'cluster.yaml:4: nodes[1]: a:7081, its peer address, is the peer address of n1 already'],
  ['{ id: n2, host: b, advertise: "a:8081" }', 'cluster.yaml:4: nodes[1]: a:8081, its client address, is the client address of n1 already'],
  ['{ id: n2, host: b, advertise: "a:7081" }', 'cluster.yaml:4: nodes[1]: a:7081, its client address, is the peer address of n1 already'],
])('two nodes at one address are refused, with the owner: %s', (second, problem) => {
  const text = `version: 1\nnodes:\n  - { id: n1, host: a }\n  - ${second}\n  - { id: n3, host: c }\n`
  expect(() => parseConfig('cluster.yaml', text)).toThrow(problem)
})
