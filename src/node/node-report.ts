/**
 * What a node says of itself, for status: one plain object that survives JSON, put together from what the parts of the node tell at this moment.
 * It only looks; the one thing kept between two looks is where the sync counters stood.
 */
import type { RaftNodeStatus } from '../../raft/index.ts'
import type { DiskWatch } from '../broker/disk-watch.ts'
import type { NodeReport, RecoveredReport } from '../broker/reports.ts'
import type { Clock } from '../platform/clock.ts'
import type { Disk } from '../platform/disk.ts'
import { digestText } from '../state/digest.ts'
import type { StateMachine } from '../state/machine.ts'
import { readRecoveryRecords } from '../storage/recovery-record.ts'
import type { ProcessReport } from './node-settings.ts'
import { raftReport, type ReportedBesides } from './raft-report.ts'

export interface NodeReporterOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly dataDirectory: string
  readonly featureLevelMax: number
  readonly machine: StateMachine
  readonly log: { segmentSpans(): readonly { readonly bytes: number }[] }
  readonly diskWatch: DiskWatch | undefined
  readonly raftStatus: () => RaftNodeStatus
  readonly besides: () => ReportedBesides
  /** Bytes of log whose entries this process has applied. */
  readonly logBytesApplied: () => number
  readonly processReport: (() => ProcessReport) | undefined
}

const noProcess: ProcessReport = { version: '', processId: 0, uptimeMs: 0, rssBytes: 0, loopStallMsMax: 0, clients: 0 }

/** Shorter than this between two looks the rates stay as they were. */
const rateMsMin = 500

export class NodeReporter {
  readonly #options: NodeReporterOptions
  readonly #recovered: RecoveredReport | undefined
  /** What the leader's sync numbers are measured against. */
  #rates = { atMs: 0, flushes: 0, entries: 0, syncsPerSecond: 0, entriesPerSync: 0 }

  constructor(options: NodeReporterOptions) {
    this.#options = options
    this.#recovered = lastRecovery(options.disk, options.dataDirectory)
  }

  report(): NodeReport {
    const { clock, machine, dataDirectory, featureLevelMax, processReport } = this.#options
    const raft = this.#options.raftStatus()
    const nowMs = clock.nowMs()
    this.#updateRates(nowMs, raft.metrics.flushes, raft.metrics.entriesFlushed)
    const own = processReport?.() ?? noProcess
    return {
      node: raft.id,
      role: raft.isRemoved ? 'removed' : raft.role,
      term: raft.term,
      leader: raft.leaderId,
      firstIndex: raft.firstIndex,
      appliedIndex: machine.appliedIndex,
      commitIndex: raft.commitIndex,
      durableIndex: raft.durableIndex,
      lastIndex: raft.last.index,
      uncommittedBytes: raft.uncommittedBytes,
      incarnation: raft.incarnation,
      featureLevelMax,
      ...own,
      dataDirectory,
      ...(this.#recovered === undefined ? {} : { recovered: this.#recovered }),
      logBytes: this.#options.logBytesApplied(),
      disk: this.#diskReport(),
      raft: raftReport(raft, this.#options.besides()),
      digest: digestText(machine.digest()),
      digestIndex: machine.appliedIndex,
      sync: {
        p50Ms: raft.syncP50Ms,
        p99Ms: raft.syncP99Ms,
        latelyMs: raft.syncLatelyMs,
        perSecond: this.#rates.syncsPerSecond,
        messagesPerSync: this.#rates.entriesPerSync,
      },
      roleChanges: raft.roleChanges
        .map(change => ({ ...change, ageMs: nowMs - change.atMs, leader: change.leaderId }))
        .map(({ ageMs, from, to, term, leader, reason }) => ({ ageMs, from, to, term, leader, reason }))
        .reverse(),
    }
  }

  #diskReport(): NodeReport['disk'] {
    const state = this.#options.diskWatch?.state
    if (state === undefined) return undefined
    const segments = this.#options.log.segmentSpans()
    return { ...state, retainedBytes: segments.reduce((sum, { bytes }) => sum + bytes, 0), segments: segments.length }
  }

  /** Syncs per second and entries per sync since the last look. */
  #updateRates(nowMs: number, flushes: number, entries: number): void {
    const rates = this.#rates
    const elapsedMs = nowMs - rates.atMs
    if (elapsedMs < rateMsMin) return
    const syncs = flushes - rates.flushes
    this.#rates = {
      atMs: nowMs,
      flushes,
      entries,
      syncsPerSecond: (syncs * 1000) / elapsedMs,
      entriesPerSync: syncs === 0 ? 0 : (entries - rates.entries) / syncs,
    }
  }
}

function lastRecovery(disk: Disk, dataDirectory: string): RecoveredReport | undefined {
  const record = readRecoveryRecords(disk, dataDirectory).at(-1)
  return record && { at: record.at, lastIndex: record.before.lastIndex, index: record.after.index }
}
