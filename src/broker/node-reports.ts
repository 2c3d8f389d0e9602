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
  readonly #latest = new Map<number, { report: NodeReport; atMs: number }>()
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
    const report = parseReport(json)
    if (report?.node === from) this.#latest.set(from, { report, atMs: this.#options.clock.nowMs() })
  }

  /** What a peer last said of its disk. */
  peerDisk(node: number): NodeReport['disk'] {
    return this.#latest.get(node)?.report.disk
  }

  of(node: number): { readonly report: NodeReport; readonly ageMs: number } | undefined {
    if (node === this.#options.node) return { report: this.#options.ownReport(), ageMs: 0 }
    const latest = this.#latest.get(node)
    return latest && { report: latest.report, ageMs: this.#options.clock.nowMs() - latest.atMs }
  }
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
