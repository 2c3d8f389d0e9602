/**
 * Whether sends are refused because disks are full: the leader's, without which nothing is written, or those of a majority. A minority of full disks
 * stops nobody: those nodes fall silent, the group goes on. What a node knows of the others is what they last reported.
 */
import type { Clock } from '../platform/clock.ts'
import type { DiskState, DiskWatch } from './disk-watch.ts'
import type { NodeReports } from './node-reports.ts'
import { refuse, type Refusal } from './refusal.ts'

export interface DiskAlarmOptions {
  readonly node: number
  /** All nodes of the group. */
  readonly nodes: readonly number[]
  readonly clock: Clock
  readonly raft: { readonly leaderId: number | undefined }
  readonly reports: Pick<NodeReports, 'peerDisk'>
  /** Our own; undefined = never full. */
  readonly disk: DiskWatch | undefined
}

/** The answer is asked for with every send, and found anew so often. */
const lookIntervalMs = 250

export class DiskAlarm {
  readonly #options: DiskAlarmOptions
  #lookedAtMs = -Infinity
  #refusal: Refusal | undefined

  constructor(options: DiskAlarmOptions) {
    this.#options = options
  }

  /** Why no message is taken; undefined = they are. */
  refusal(): Refusal | undefined {
    const nowMs = this.#options.clock.nowMs()
    if (nowMs - this.#lookedAtMs >= lookIntervalMs) {
      this.#lookedAtMs = nowMs
      this.#refusal = this.#look()
    }
    return this.#refusal
  }

  #look(): Refusal | undefined {
    const { nodes, raft } = this.#options
    const full = nodes.filter(id => this.#diskOf(id)?.level === 'refuse')
    const leader = full.find(id => id === raft.leaderId)
    const worst = leader ?? (full.length * 2 > nodes.length ? full[0] : undefined)
    const disk = worst === undefined ? undefined : this.#diskOf(worst)
    if (worst === undefined || disk === undefined) return undefined
    const usedPercent = Math.floor((1 - disk.freeBytes / disk.totalBytes) * 100)
    return refuse(
      'tooManyRequests',
      `The disk of node ${worst} is full (${usedPercent} % used, ${Math.floor(disk.freeBytes / 2 ** 20)} MiB free): the oldest messages are being deleted; come again later.`,
    )
  }

  #diskOf(id: number): Pick<DiskState, 'level' | 'totalBytes' | 'freeBytes'> | undefined {
    const { node, disk, reports } = this.#options
    return id === node ? disk?.state : reports.peerDisk(id)
  }
}
