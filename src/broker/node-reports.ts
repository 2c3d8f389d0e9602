/** What nodes tell each other of themselves, once a second, so that any node can show the whole cluster on one screen. No truth rests on it. */
import type { Clock } from '../platform/clock.ts'
import type { Deadlines } from './deadlines.ts'
import { encodeReport } from './peer-frame.ts'
import type { NodeReport } from './reports.ts'

export interface NodeReportsOptions {
  readonly node: number
  readonly peers: readonly number[]
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly sendToPeer: (peer: number, buffers: readonly Uint8Array[]) => boolean
  /** What we say of ourselves. */
  readonly ownReport: () => NodeReport
}

const intervalMs = 1_000
const reportCharsMax = 64 * 1024

export class NodeReports {
  readonly #options: NodeReportsOptions
  readonly #latest = new Map<number, Heard>()
  #isStopped = false

  constructor(options: NodeReportsOptions) {
    this.#options = options
  }

  start(): void {
    const { deadlines, sendToPeer, ownReport } = this.#options
    deadlines.after(intervalMs, () => {
      if (this.#isStopped) return
      const { peers } = this.#options
      const json = peers.length === 0 ? '' : JSON.stringify(ownReport())
      for (const peer of peers) sendToPeer(peer, encodeReport({ kind: 'report', json }))
      this.start()
    })
  }

  stop(): void {
    this.#isStopped = true
  }

  onReport(from: number, json: string): void {
    if (json.length > reportCharsMax || !this.#options.peers.includes(from)) return
    this.#latest.set(from, { json, report: undefined, atMs: this.#options.clock.nowMs() })
  }

  /** What a peer last said of its disk. */
  peerDisk(node: number): NodeReport['disk'] {
    return this.#reportOf(node)?.disk
  }

  of(node: number): { readonly report: NodeReport; readonly ageMs: number } | undefined {
    if (node === this.#options.node) return { report: this.#options.ownReport(), ageMs: 0 }
    const report = this.#reportOf(node)
    const { atMs = 0 } = this.#latest.get(node) ?? {}
    return report && { report, ageMs: this.#options.clock.nowMs() - atMs }
  }

  #reportOf(node: number): NodeReport | undefined {
    const latest = this.#latest.get(node)
    if (latest?.json === undefined) return latest?.report
    const report = parseReport(latest.json)
    latest.json = undefined
    latest.report = report?.node === node ? report : undefined
    return latest.report
  }
}

/** Most of what is heard is overtaken by the next before anybody asks: it is read when somebody does. */
interface Heard {
  /** Not read yet. */
  json: string | undefined
  /** undefined also when what came was no report of that node. */
  report: NodeReport | undefined
  readonly atMs: number
}

/** Peers of one cluster run one program: the frame's checksum vouches for the rest. */
function parseReport(json: string): NodeReport | undefined {
  try {
    return JSON.parse(json) as NodeReport
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
