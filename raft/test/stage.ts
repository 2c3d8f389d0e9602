/** What a transcript plays on: a mini-cluster, and the lines that it has made its nodes say since the last command. */
import type { RaftConfig } from '../core/config.ts'
import { describeMessage } from '../core/trace.ts'
import type { ProposalOutcome, ReadEnd, TransferEnd } from '../core/output.ts'
import type { RoleChange } from '../core/status.ts'
import { describeMembership } from './members.ts'
import { MiniCluster } from './mini-cluster.ts'
import type { Flight, TestNode } from './mini-cluster.ts'

export class Stage {
  #cluster: MiniCluster | undefined
  #lines: string[] = []
  /** Tell of each message that leaves. */
  showsMail = false

  get cluster(): MiniCluster {
    if (this.#cluster === undefined) throw new Error('a transcript begins with `nodes`')
    return this.#cluster
  }

  open(count: number, settings: Partial<RaftConfig>, areTearsAllowed: boolean, spares: number): void {
    this.#cluster = new MiniCluster(
      count,
      settings,
      {
        roleChange: (node, change) => this.say(this.#roleChange(node, change)),
        refusal: (node, reason) => this.say(`${node.id} says ${reason}`),
        outcome: (node, outcome) => this.say(`${node.id} proposal ${outcome.ticket} ${describeOutcome(outcome)}`),
        transfer: (node, end) => this.say(`${node.id} hand-over to ${end.to} ${describeEnd(end)}`),
        read: (node, end) => this.say(`${node.id} read ${end.ticket} ${describeRead(end)}`),
        persist: (node, persist) => {
          if (persist.kind === 'truncateFrom') this.say(`${node.id} truncates from ${persist.index}`)
          if (persist.kind === 'appendOwn' && persist.membership !== undefined && persist.firstIndex > 1)
            this.say(`${node.id} makes the group ${describeMembership(persist.membership)}, at ${persist.firstIndex}`)
          if (persist.kind === 'appendOwn' && persist.entryKind === 4) this.say(`${node.id} leaps in time at ${persist.firstIndex}`)
        },
        commit: (node, index) => this.say(`${node.id} commits ${index}`),
        sent: flight => {
          if (this.showsMail) this.say(describeFlight(flight))
        },
      },
      areTearsAllowed,
      spares,
    )
  }

  say(line: string): void {
    this.#lines.push(line)
  }

  /** What was said, repetitions of a line counted; and a clean slate. */
  takeLines(): string[] {
    const lines: string[] = []
    let count = 0
    this.#lines.forEach((line, i) => {
      count++
      if (this.#lines[i + 1] === line) return
      lines.push(count === 1 ? line : `${line} (${count} times)`)
      count = 0
    })
    this.#lines = []
    return lines
  }

  #roleChange(node: TestNode, change: RoleChange): string {
    const leader = change.leaderId === undefined || change.to === 'leader' ? '' : ` of ${change.leaderId}`
    return `${node.id} ${change.from} -> ${change.to}${leader}, term ${change.term}, at ${Math.round(change.atMs)} ms: ${change.reason}`
  }
}

export function describeFlight({ from, to, message }: Flight): string {
  return `${from} > ${to} ${describeMessage(message)}`
}

function describeEnd(end: TransferEnd): string {
  return end.kind === 'handedOver' ? 'done' : `${end.kind}: ${end.reason}`
}

function describeRead(end: ReadEnd): string {
  return end.kind === 'ready' ? `is ready at ${end.index}` : `refused: ${end.reason}`
}

function describeOutcome(outcome: ProposalOutcome): string {
  switch (outcome.kind) {
    case 'rejected':
      return `rejected: ${outcome.reason}`
    case 'unknown':
      return `unknown: ${outcome.cause}`
    default: {
      const { firstId, count, kind } = outcome
      return `${kind} as ${firstId.index}/${firstId.term}${count > 1 ? `, ${count} entries` : ''}`
    }
  }
}
