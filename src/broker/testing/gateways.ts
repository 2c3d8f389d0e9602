/** For tests of the proposer: gateways of a group in one process, each with a tiny state machine that only knows the session rule (DESIGN rule 6). */
import type { Command, Envelope } from '../../state/command.ts'
import { Deadlines } from '../deadlines.ts'
import type { ProposeOutcome } from '../outcome.ts'
import { decodePeerFrame, encodeRefused } from '../peer-frame.ts'
import { ProposalGate } from '../proposal-gate.ts'
import { Proposer } from '../proposer.ts'
import type { ProposerLimits } from '../proposer-limits.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeGroup, type FakeNode } from './fake-group.ts'

/** A codec that a person can read: what matters here is the envelope. */
export const codec = {
  encode(envelope: Envelope, command: Command): { parts: Uint8Array[]; bytes: number } {
    const head = Buffer.alloc(128, ' ')
    codec.stamp(head, envelope)
    const rest = Buffer.from(JSON.stringify(command))
    return { parts: [head, rest], bytes: head.length + rest.length }
  },
  stamp(firstPart: Uint8Array, envelope: Envelope): void {
    firstPart.fill(32)
    firstPart.set(Buffer.from(JSON.stringify(envelope)))
  },
  readEnvelope: (body: Uint8Array) => parse(body),
  check: (body: Uint8Array) => (Buffer.from(body).includes('broken') ? 'it is broken' : undefined),
}

export function parse(body: Uint8Array): Envelope & { command: { topic?: string } } {
  const text = Buffer.from(body).toString()
  return { ...(JSON.parse(text.slice(0, 128)) as Envelope), command: JSON.parse(text.slice(128)) as { topic?: string } }
}

export interface Gateway {
  readonly node: FakeNode
  readonly proposer: Proposer
  /** Topics of the commands that apply took, in order: the state of this tiny machine. */
  readonly taken: string[]
  readonly outcomes: Map<string, ProposeOutcome[]>
  propose(name: string, patienceMs?: number, onlyInTerm?: number): boolean
}

/** Apply with the session rule (rule 6) and nothing else. */
export function gateway(group: FakeGroup, id: number, incarnation = 1, limits: Partial<ProposerLimits> = {}): Gateway {
  const node = group.node(id)
  const gate = new ProposalGate(node, codec)
  const deadlines = new Deadlines(group.clock)
  const proposer = new Proposer({
    node: id,
    incarnation,
    raft: node,
    gate,
    clock: group.clock,
    deadlines,
    codec,
    limits,
  })
  const taken: string[] = []
  const outcomes = new Map<string, ProposeOutcome[]>()
  const last = new Map<number, { incarnation: number; sequence: number }>()
  node.app = {
    apply(entry) {
      const { node: from, incarnation: life, sequence, command } = parse(entry.body)
      const before = last.get(from)
      if (before !== undefined && (before.incarnation > life || (before.incarnation === life && before.sequence >= sequence))) return
      last.set(from, { incarnation: life, sequence })
      taken.push(command.topic ?? '')
      proposer.onApplied({ node: from, incarnation: life, sequence, result: { kind: 'done' } }, entry.index, entry.wallMs)
    },
    appliedBatch: () => undefined,
    leadershipChanged: () => proposer.onLeadershipChanged(),
    peerFrame(from, bytes) {
      const frame = decodePeerFrame(bytes)
      if (frame?.kind === 'refused') proposer.onFrameRefused(from, frame)
      if (frame?.kind !== 'proposals') return
      gate.acceptFrame(from, frame, (reason, sequence) => {
        const about = { term: node.term, incarnation: frame.incarnation, run: frame.run, sequence }
        node.sendToPeer(from, encodeRefused({ kind: 'refused', reason, ...about }))
      })
    },
    peerConnected: peer => proposer.onPeerConnected(peer),
    peerDisconnected: peer => proposer.onPeerDisconnected(peer),
  }
  return {
    node,
    proposer,
    taken,
    outcomes,
    propose(name, patienceMs = 2_500, onlyInTerm) {
      outcomes.set(name, [])
      const listener = (outcome: ProposeOutcome): unknown => outcomes.get(name)?.push(outcome)
      return proposer.propose({ kind: 'deleteTopic', topic: name }, group.clock.nowMs() + patienceMs, listener, onlyInTerm)
    },
  }
}

export function threeGateways(limits: Partial<ProposerLimits> = {}): {
  group: FakeGroup
  clock: FakeClock
  a: Gateway
  b: Gateway
  c: Gateway
} {
  const clock = new FakeClock()
  const group = new FakeGroup(clock, 3)
  const [a, b, c] = [gateway(group, 1, 1, limits), gateway(group, 2, 1, limits), gateway(group, 3, 1, limits)]
  group.elect(1)
  clock.advance(5)
  return { group, clock, a, b, c }
}

/** How the proposal of that name ended, as far as it was told. */
export function kinds(of: Gateway, name: string): string[] {
  return (of.outcomes.get(name) ?? []).map(outcome => (outcome.kind === 'rejected' ? `rejected ${outcome.reason}` : outcome.kind))
}
