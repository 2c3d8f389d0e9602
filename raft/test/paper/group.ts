/**
 * A small cluster for tests of single statements: the verbs of the transcripts (verbs.ts) move it, and what the paper's figures talk about is read from it:
 * roles, terms, votes, logs, commit. The ledger and the core's invariants judge every step here too.
 */
import { mustExist } from '../../../src/platform/assert.ts'
import { EntryKind } from '../../core/entry.ts'
import type { NodeState } from '../../core/node-state.ts'
import type { HardState } from '../../core/output.ts'
import type { Progress } from '../../core/progress.ts'
import { firstWallMs } from '../mini-cluster.ts'
import { describeFlight, Stage } from '../stage.ts'
import { perform } from '../verbs.ts'

export class Group {
  readonly #stage = new Stage()

  /** `'3 spares=2 sliceBytesMax=100'`: as after the verb `nodes`. */
  constructor(words = '3') {
    this.play(`nodes ${words}`)
  }

  /** What the nodes said to these commands. */
  play(...commands: readonly string[]): string[] {
    this.#stage.takeLines()
    for (const command of commands) perform(this.#stage, command)
    return this.#stage.takeLines()
  }

  state(id: number): NodeState {
    return this.#stage.cluster.core(id).inspect()
  }

  role(id: number): string {
    return this.state(id).role.kind
  }

  /** Who leads, of those that are up. */
  leaders(): number[] {
    return this.#stage.cluster.nodes.filter(({ core }) => core?.inspect().role.kind === 'leader').map(({ id }) => id)
  }

  commit(id: number): number {
    return this.state(id).commitIndex
  }

  /** The terms of all entries, as in the paper's pictures: `1 1 2`. */
  log(id: number): string {
    return termsOf(this.#stage.cluster.node(id).disk.written)
  }

  /** As much of it as a power cut leaves. */
  disk(id: number): string {
    return termsOf(this.#stage.cluster.node(id).disk.log)
  }

  hardState(id: number): HardState {
    return this.#stage.cluster.node(id).disk.hardState
  }

  /** What the leader knows of a peer. */
  progress(leader: number, peer: number): Progress {
    const { role } = this.state(leader)
    const found = role.kind === 'leader' ? role.peers.find(progress => progress.peer === peer) : undefined
    return mustExist(found, 'progress-of', peer)
  }

  /** What is on its way, in words; `kind` as in message.ts. */
  mail(kind?: string): string[] {
    return this.#stage.cluster.inFlight.filter(flight => kind === undefined || flight.message.kind === kind).map(describeFlight)
  }

  /** Nodes hold these logs (terms of their entries) on disk and have not run yet; each term as its entry in the paper's figures is the same everywhere. */
  plant(logs: Readonly<Record<number, string>>, term = 0): void {
    const { cluster } = this.#stage
    const membership = cluster.core(1).inspect().members.current.membership
    for (const [id, terms] of Object.entries(logs)) {
      const node = cluster.node(Number(id))
      cluster.crash(node.id)
      const log = terms.split(' ').filter(Boolean).map(Number)
      node.disk.log = log.map((of, i) => ({
        index: i + 1,
        term: of,
        kind: i === 0 ? EntryKind.config : EntryKind.data,
        wallMs: firstWallMs,
        value: `planted ${i + 1}/${of}`,
        ...(i === 0 && { membership }),
      }))
      node.disk.written = [...node.disk.log]
      node.disk.isTornUnverified = false
      node.disk.hardState = { term: Math.max(term, log.at(-1) ?? 0) as HardState['term'], votedFor: undefined }
    }
    for (const id of Object.keys(logs)) cluster.start(Number(id))
  }

  /** Time passes until somebody leads. */
  runUntilLed(): number {
    for (let spent = 0; spent < 5_000; spent += 10) {
      const [leader] = this.leaders()
      if (leader !== undefined) return leader
      this.#stage.cluster.run(10)
    }
    throw new Error('nobody leads')
  }
}

function termsOf(entries: readonly { readonly term: number }[]): string {
  return entries.map(({ term }) => term).join(' ')
}
