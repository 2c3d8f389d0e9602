/**
 * Every key of cluster.yaml that is a single value: its default, bounds, unit and meaning, once. Parsing, error sentences, environment names and
 * cluster.example.yaml all come from here. Only keys that work stand here. What must agree on every replica is not configuration but state.
 */
import {
  bad,
  formatDuration,
  formatHostPort,
  formatPercent,
  formatSize,
  nearest,
  ok,
  parseDuration,
  parseHostPort,
  parsePercent,
  parseSize,
  shown,
} from './config-units.ts'
import type { HostPort, Parsed } from './config-units.ts'
import { newestLevel, oldestLevel } from '../state/feature-level.ts'

export interface ConfigKey<T> {
  /** Its path in the file, with dots. */
  readonly key: string
  readonly default: T
  /** One line for the example. */
  readonly meaning: string
  parse(value: unknown): Parsed<T>
  /** As it stands in the file. */
  format(value: T): string
  /** What may be written, for the example; empty when the meaning says it. */
  readonly range: string
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFormat = 'auto' | 'text' | 'json'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB
const second = 1_000
const minute = 60 * second

/** All of them, in the order of the example. */
export const configKeys = {
  clusterName: text(
    'cluster.name',
    'raftmq',
    'label in logs and status; nodes of another name are refused',
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
  ),
  clientListen: address('listen.client', { host: '0.0.0.0', port: 8081 }, 'gRPC for clients, TLS and plaintext on one port'),
  peerListen: address('listen.peer', { host: '0.0.0.0', port: 7081 }, 'raft between the nodes'),
  advertise: text(
    'advertise.default',
    '{host}:{port}',
    'what clients are told; {host} {id} {index} {port} of the node',
    /^\S{1,255}:(\d{1,5}|\{port\})$/,
  ),
  dataDirectory: text(
    'data_dir',
    'data',
    'empty at the first start, or of this cluster and this node; relative to this file',
    /^[^\0]{1,4096}$/,
  ),
  segmentBytes: size('log.segment_size', GiB, { min: MiB, max: 2 * GiB }, 'a file of the log; filled with zeros ahead of the writes'),
  scrubRate: size(
    'log.scrub_rate',
    4 * MiB,
    { min: 64 * KiB, max: GiB },
    'a second: how fast the log is read again, all the time, to find rot',
  ),
  retentionAgeMs: duration(
    'log.retention.age',
    72 * 60 * minute,
    { min: 0, max: 3_650 * 24 * 60 * minute },
    'messages older than this are given up; 0ms = never; a topic may have its own (there 0ms = this one)',
  ),
  retentionBytes: size('log.retention.size', 0, { min: 0, max: 1024 ** 5 }, 'of the whole log; 0B = no limit'),
  diskCleanAt: percent('log.disk.clean_at', 0.75, 'above this disk use messages that every consumer group is done with are deleted'),
  diskForceCleanAt: percent('log.disk.force_clean_at', 0.85, 'above it the oldest go, whoever still needs them'),
  diskRefuseAt: percent('log.disk.refuse_at', 0.9, 'above it no more messages are taken (code 42900)'),
  diskFreeBytesMin: size('log.disk.min_free', GiB, { min: 0, max: 1024 ** 4 }, 'less than this free counts as above refuse_at'),
  heartbeatMs: duration('raft.heartbeat', 50, { min: 10, max: 5 * second }, 'equal on all nodes'),
  electionTimeoutMs: duration('raft.election_timeout', 300, { min: 50, max: minute }, 'randomised up to twice this; at least 4 heartbeats'),
  preferLeaderAfterMs: duration(
    'raft.prefer_leader_after',
    30 * second,
    { min: second, max: 60 * minute },
    'a node of higher leader_priority leads after being well for so long',
  ),
  inflightBytes: size(
    'limits.inflight_bytes',
    256 * MiB,
    { min: 16 * MiB, max: 16 * GiB },
    'taken and not yet answered; above it clients are told to back off',
  ),
  upgradeFinalize: choice<'manual' | 'auto'>(
    'upgrade.finalize',
    'manual',
    ['manual', 'auto'],
    'who ends a rolling upgrade: raftmq cluster finalize, or the leader as soon as all nodes can',
  ),
  upgradeLevelMax: level('upgrade.level_max', newestLevel, 'a lower one makes this node stand in for an older build'),
  logLevel: choice<LogLevel>('log_output.level', 'info', ['debug', 'info', 'warn', 'error'], 'what is written to standard output'),
  logFormat: choice<LogFormat>('log_output.format', 'auto', ['auto', 'text', 'json'], 'auto is text on a terminal, JSON lines otherwise'),
  shutdownGraceMs: duration(
    'shutdown.grace',
    5 * second,
    { min: 0, max: 5 * minute },
    'longest wait for requests under way when asked to stop',
  ),
} as const

/** The environment variable that overrides a key. */
export function environmentName(key: string): string {
  return `RAFTMQ_${key.toUpperCase().replaceAll('.', '_')}`
}

interface Bounds {
  readonly min: number
  readonly max: number
}

function bounded(parsed: Parsed<number>, { min, max }: Bounds, format: (value: number) => string): Parsed<number> {
  if (parsed.kind === 'bad' || (parsed.value >= min && parsed.value <= max)) return parsed
  return bad(`${format(parsed.value)} is too ${parsed.value < min ? 'small' : 'large'}; from ${format(min)} to ${format(max)}`)
}

function duration(key: string, byDefault: number, bounds: Bounds, meaning: string): ConfigKey<number> {
  const range = `${formatDuration(bounds.min)} to ${formatDuration(bounds.max)}`
  return {
    key,
    default: byDefault,
    meaning,
    range,
    format: formatDuration,
    parse: value => bounded(parseDuration(value), bounds, formatDuration),
  }
}

function size(key: string, byDefault: number, bounds: Bounds, meaning: string): ConfigKey<number> {
  const range = `${formatSize(bounds.min)} to ${formatSize(bounds.max)}`
  return { key, default: byDefault, meaning, range, format: formatSize, parse: value => bounded(parseSize(value), bounds, formatSize) }
}

/** A feature level. The default is a word, so that a file written for this build does not hold back the next one. */
function level(key: string, byDefault: number, meaning: string): ConfigKey<number> {
  const parse = (value: unknown): Parsed<number> => {
    if (value === 'newest') return ok(newestLevel)
    return typeof value === 'number' && Number.isInteger(value) && value >= oldestLevel && value <= newestLevel
      ? ok(value)
      : bad(`${shown(value)} is no feature level of this build; newest, or from ${oldestLevel} to ${newestLevel}`)
  }
  const format = (value: number): string => (value === newestLevel ? 'newest' : String(value))
  return { key, default: byDefault, meaning, range: 'newest or a number', format, parse }
}

function percent(key: string, byDefault: number, meaning: string): ConfigKey<number> {
  return {
    key,
    default: byDefault,
    meaning,
    range: '30% to 100%',
    format: formatPercent,
    parse: value => bounded(parsePercent(value), { min: 0.3, max: 1 }, formatPercent),
  }
}

function choice<T extends string>(key: string, byDefault: T, choices: readonly T[], meaning: string): ConfigKey<T> {
  const parse = (value: unknown): Parsed<T> => {
    const found = choices.find(each => each === value)
    if (found !== undefined) return ok(found)
    const near = typeof value === 'string' ? nearest(value, choices) : undefined
    return bad(`${shown(value)} is not one of ${choices.join(', ')}${near === undefined ? '' : `; did you mean ${near}?`}`)
  }
  return { key, default: byDefault, meaning, range: choices.join(' | '), format: value => value, parse }
}

function text(key: string, byDefault: string, meaning: string, pattern: RegExp): ConfigKey<string> {
  const parse = (value: unknown): Parsed<string> =>
    typeof value === 'string' && pattern.test(value) ? ok(value) : bad(`${shown(value)} is not allowed here; an example is ${byDefault}`)
  return { key, default: byDefault, meaning, range: '', format: value => (/[{}:#]/.test(value) ? JSON.stringify(value) : value), parse }
}

function address(key: string, byDefault: HostPort, meaning: string): ConfigKey<HostPort> {
  return { key, default: byDefault, meaning, range: '', format: formatHostPort, parse: parseHostPort }
}
