/**
 * cluster.yaml: one file for all nodes, read once at start and passed down as values. The single values are in config-table.ts, the list of nodes is here.
 * Order: environment over file over default; a node's own `listen`, `advertise` and `data_dir` over those of all.
 * Must never: guess. What it does not understand ends the start with one line and exit code 2.
 */
import * as path from 'node:path'
import * as v from 'valibot'
import { parse as parseYaml } from 'yaml'
import { ConfigError, ConfigFile, leaf, nameOf } from './config-file.ts'
import { configKeys, environmentName } from './config-table.ts'
import type { ConfigKey, LogFormat, LogLevel } from './config-table.ts'
import { bad, formatHostPort, nearest, ok, parseHostPort, shown } from './config-units.ts'
import type { HostPort, Parsed } from './config-units.ts'

export { ConfigError } from './config-file.ts'

/** One node of the group, as everybody knows it. */
export interface NodeConfig {
  /** Its number in the group: `number`, or else its place in the list, from 1. It is its identity, never given to another node. */
  readonly number: number
  /** Its name in the file: `id`. */
  readonly name: string
  readonly host: string
  /** Where it opens its sockets. */
  readonly clientListen: HostPort
  readonly peerListen: HostPort
  /** Where the other nodes dial it. */
  readonly peerAddress: HostPort
  /** What clients are told. */
  readonly advertise: HostPort
  readonly dataDirectory: string
  /** 0 to 100. Of the nodes that are well the one with the highest leads, after a while. */
  readonly leaderPriority: number
  /** It is not one of those that the group begins with: it waits until `cluster member add` takes it in. */
  readonly isJoining: boolean
}

export interface ClusterConfig {
  /** The file it came from, for messages. */
  readonly file: string
  readonly clusterName: string
  /** In the order of the file. */
  readonly nodes: readonly NodeConfig[]
  readonly log: {
    readonly segmentBytes: number
    readonly scrubBytesPerSecond: number
    /** 0 = no limit. */
    readonly retention: { readonly ageMs: number; readonly sizeBytes: number }
    /** Shares of the disk. */
    readonly disk: { readonly cleanAt: number; readonly forceCleanAt: number; readonly refuseAt: number; readonly freeBytesMin: number }
  }
  readonly raft: { readonly heartbeatMs: number; readonly electionTimeoutMs: number; readonly preferLeaderAfterMs: number }
  readonly limits: { readonly inflightBytes: number }
  readonly upgrade: { readonly finalize: 'manual' | 'auto'; readonly levelMax: number }
  readonly logOutput: { readonly level: LogLevel; readonly format: LogFormat }
  readonly shutdown: { readonly graceMs: number }
}

export type Environment = Readonly<Record<string, string | undefined>>

const namePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const groupSizes = [1, 3, 5]
const heartbeatsPerElection = 4
const leaderPriorityMax = 100
const nodeNumberMax = 65_535

function parseName(value: unknown): Parsed<string> {
  return typeof value === 'string' && namePattern.test(value)
    ? ok(value)
    : bad(`${shown(value)} is not a node name: small letters, digits and -, at most 63 of them`)
}

function parseHost(value: unknown): Parsed<string> {
  return typeof value === 'string' && /^[^\s/]{1,255}$/.test(value) ? ok(value) : bad(`${shown(value)} is not a host name or an address`)
}

function parseNumber(value: unknown): Parsed<number> {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= nodeNumberMax
    ? ok(value as number)
    : bad(`${shown(value)} is not a node number: a whole number from 1 to ${nodeNumberMax}`)
}

function parseFlag(value: unknown): Parsed<boolean> {
  return typeof value === 'boolean' ? ok(value) : bad(`${shown(value)} is neither true nor false`)
}

function parsePriority(value: unknown): Parsed<number> {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= leaderPriorityMax
    ? ok(value as number)
    : bad(`${shown(value)} is not a priority: a whole number from 0 to ${leaderPriorityMax}`)
}

function parseVersion(value: unknown): Parsed<1> {
  return value === 1 ? ok(1) : bad(`${shown(value)} is not a version of this file that is known here; write version: 1`)
}

const nodeSchema = v.strictObject({
  id: leaf(parseName),
  number: v.optional(leaf(parseNumber)),
  join: v.optional(leaf(parseFlag)),
  host: leaf(parseHost),
  listen: v.optional(v.strictObject({ client: v.optional(leaf(parseHostPort)), peer: v.optional(leaf(parseHostPort)) }), {}),
  advertise: v.optional(leaf(parseHostPort)),
  leader_priority: v.optional(leaf(parsePriority)),
  data_dir: v.optional(leaf(value => configKeys.dataDirectory.parse(value))),
})

type NodeEntry = v.InferOutput<typeof nodeSchema>

type Tree = Map<string, ConfigKey<unknown> | Tree>

/** The keys of the table as a tree of their paths. */
function treeOfKeys(): Tree {
  const root: Tree = new Map()
  for (const key of Object.values(configKeys) as ConfigKey<unknown>[]) {
    const parts = key.key.split('.')
    let place = root
    for (const part of parts.slice(0, -1)) {
      const next = place.get(part)
      if (next instanceof Map) place = next
      else place.set(part, (place = new Map()))
    }
    place.set(parts.at(-1) ?? '', key)
  }
  return root
}

function entriesOf(tree: Tree): Record<string, v.GenericSchema> {
  return Object.fromEntries(
    [...tree].map(([name, inner]) => [
      name,
      inner instanceof Map ? v.optional(v.strictObject(entriesOf(inner)), {}) : v.optional(leaf(value => inner.parse(value))),
    ]),
  )
}

const fileSchema = v.strictObject({ version: leaf(parseVersion), nodes: v.array(nodeSchema), ...entriesOf(treeOfKeys()) })

/** Reads the text of a configuration file. Throws a ConfigError whose problems name file, line and the nearest known key. */
export function parseConfig(file: string, text: string, environment: Environment = {}): ClusterConfig {
  const source = ConfigFile.parse(file, text)
  const content: Record<string, unknown> & { readonly nodes: readonly NodeEntry[] } = source.validate(fileSchema)
  const overrides = new Map<string, unknown>()
  const problems: string[] = []
  for (const key of Object.values(configKeys) as ConfigKey<unknown>[]) {
    const text = environment[environmentName(key.key)]
    if (text === undefined) continue
    const parsed = key.parse(scalarOf(text, key))
    if (parsed.kind === 'ok') overrides.set(key.key, parsed.value)
    else problems.push(`environment ${environmentName(key.key)}: ${parsed.problem}`)
  }
  const get = <T>(key: ConfigKey<T>): T => (overrides.get(key.key) ?? valueAt(content, key.key) ?? key.default) as T
  const heartbeatMs = get(configKeys.heartbeatMs)
  const electionTimeoutMs = get(configKeys.electionTimeoutMs)
  if (electionTimeoutMs < heartbeatsPerElection * heartbeatMs)
    problems.push(
      `${source.at(['raft', 'election_timeout'])}raft.election_timeout: ${electionTimeoutMs}ms is less than ${heartbeatsPerElection} heartbeats of ${heartbeatMs}ms`,
    )
  const disk = {
    cleanAt: get(configKeys.diskCleanAt),
    forceCleanAt: get(configKeys.diskForceCleanAt),
    refuseAt: get(configKeys.diskRefuseAt),
    freeBytesMin: get(configKeys.diskFreeBytesMin),
  }
  if (disk.cleanAt > disk.forceCleanAt || disk.forceCleanAt > disk.refuseAt)
    problems.push(`${source.at(['log', 'disk'])}log.disk: clean_at, force_clean_at and refuse_at must not fall, in this order`)
  problems.push(...problemsOfNodes(source, content.nodes))
  const nodes = content.nodes.map((entry, i) => nodeOf(file, entry, entry.number ?? i + 1, get, problems, source))
  problems.push(...sharedAddresses(source, nodes))
  if (problems.length > 0) throw new ConfigError(problems)
  return {
    file,
    clusterName: get(configKeys.clusterName),
    nodes,
    log: {
      segmentBytes: get(configKeys.segmentBytes),
      scrubBytesPerSecond: get(configKeys.scrubRate),
      retention: { ageMs: get(configKeys.retentionAgeMs), sizeBytes: get(configKeys.retentionBytes) },
      disk,
    },
    raft: { heartbeatMs, electionTimeoutMs, preferLeaderAfterMs: get(configKeys.preferLeaderAfterMs) },
    limits: { inflightBytes: get(configKeys.inflightBytes) },
    upgrade: { finalize: get(configKeys.upgradeFinalize), levelMax: get(configKeys.upgradeLevelMax) },
    logOutput: { level: get(configKeys.logLevel), format: get(configKeys.logFormat) },
    shutdown: { graceMs: get(configKeys.shutdownGraceMs) },
  }
}

/** The node of that name; a ConfigError that lists the names when there is none. With one node in the file the name may be left out. */
export function nodeNamed(config: ClusterConfig, name: string | undefined): NodeConfig {
  const names = config.nodes.map(node => node.name)
  const only = config.nodes.length === 1 ? config.nodes[0] : undefined
  const found = name === undefined ? only : config.nodes.find(node => node.name === name)
  if (found !== undefined) return found
  if (name === undefined) throw new ConfigError([`${config.file}: say which node this is: --node ${names.join(' or --node ')}`])
  const near = nearest(name, names)
  throw new ConfigError([
    `${config.file}: there is no node ${name}${near === undefined ? `; there are ${names.join(', ')}` : `; did you mean ${near}?`}`,
  ])
}

function problemsOfNodes(source: ConfigFile, nodes: readonly NodeEntry[]): string[] {
  const problems: string[] = []
  const founders = nodes.filter(node => node.join !== true).length
  if (!groupSizes.includes(founders))
    problems.push(
      `${source.at(['nodes'])}nodes: a group begins with 1, 3 or 5 of them, not ${founders}; write join: true for those that are added to it later, in one edit`,
    )
  const numbers = nodes.map((node, i) => node.number ?? i + 1)
  numbers.forEach((number, i) => {
    const first = numbers.indexOf(number)
    if (first < i) problems.push(`${source.at(['nodes', i])}${nameOf(['nodes', i])}: ${number} is the number of nodes[${first}] already`)
  })
  nodes.forEach((node, i) => {
    const first = nodes.findIndex(other => other.id === node.id)
    if (first < i)
      problems.push(`${source.at(['nodes', i, 'id'])}${nameOf(['nodes', i, 'id'])}: ${node.id} is the name of nodes[${first}] already`)
  })
  return problems
}

/** Two nodes at one address: each would be taken for the other. */
function sharedAddresses(source: ConfigFile, nodes: readonly NodeConfig[]): string[] {
  const problems: string[] = []
  const owners = new Map<string, string>()
  nodes.forEach((node, i) => {
    const addresses = [
      ['peer', node.peerAddress],
      ['client', node.advertise],
    ] as const
    for (const [what, address] of addresses) {
      const text = formatHostPort(address)
      const owner = owners.get(text)
      if (address.port === 0) continue
      if (owner === undefined) owners.set(text, `the ${what} address of ${node.name}`)
      else problems.push(`${source.at(['nodes', i])}${nameOf(['nodes', i])}: ${text}, its ${what} address, is ${owner} already`)
    }
  })
  return problems
}

function nodeOf(
  file: string,
  entry: NodeEntry,
  number: number,
  get: <T>(key: ConfigKey<T>) => T,
  problems: string[],
  source: ConfigFile,
): NodeConfig {
  const clientListen = entry.listen.client ?? get(configKeys.clientListen)
  const peerListen = entry.listen.peer ?? get(configKeys.peerListen)
  const words: Readonly<Record<string, string | number>> = { host: entry.host, id: entry.id, index: number, port: clientListen.port }
  const told = get(configKeys.advertise).replace(/\{(\w+)\}/g, (all, word: string) => String(words[word] ?? all))
  const advertise = entry.advertise === undefined ? parseHostPort(told) : ok(entry.advertise)
  if (advertise.kind === 'bad')
    problems.push(`${source.at(['advertise', 'default'])}advertise.default: ${advertise.problem} (for node ${entry.id})`)
  return {
    number,
    name: entry.id,
    host: entry.host,
    clientListen,
    peerListen,
    peerAddress: { host: entry.host, port: peerListen.port },
    advertise: advertise.kind === 'ok' ? advertise.value : clientListen,
    dataDirectory: path.resolve(path.dirname(path.resolve(file)), entry.data_dir ?? get(configKeys.dataDirectory)),
    leaderPriority: entry.leader_priority ?? 0,
    isJoining: entry.join ?? false,
  }
}

function valueAt(content: Readonly<Record<string, unknown>>, key: string): unknown {
  let value: unknown = content
  for (const part of key.split('.'))
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[part] : undefined
  return value
}

/** Numbers and true/false as YAML reads them, everything else as it stands. */
function scalarOf(text: string, key: ConfigKey<unknown>): unknown {
  return typeof key.default === 'string' || typeof key.default === 'object' ? text : (parseYaml(text) as unknown)
}

/** For `--print` and status pages: where a node can be reached, in one line. */
export function describeNode(node: NodeConfig): string {
  return `${node.name}  clients ${formatHostPort(node.advertise)}  peers ${formatHostPort(node.peerAddress)}  data ${node.dataDirectory}`
}
