/**
 * The leader's side of proposing: takes frames of gateways (and what its own gateway wants) into Raft, or refuses a frame whole.
 *
 * Invariant: of one gateway's life, sequences enter the log in ascending order and without a hole that the gateway does not know of:
 * a frame that does not follow the last one accepted is refused (`gap`) until the gateway begins anew from its oldest unapplied proposal.
 * Copies of what this leadership has appended already are dropped here; copies from an earlier leadership cannot be known here, apply
 * skips them (rule 6). Must never append a body that `check` or its checksum refuses: apply would have to swallow it (rule 8).
 */
import { crc32cOf } from '../platform/bytes.ts'
import type { Body, FrameRefusalReason, ProposalsFrame } from './peer-frame.ts'

/** What the gate needs of Raft. */
export interface GateRaft {
  readonly term: number
  readonly isLeader: boolean
  /** undefined = appended, in order, or about to be. Otherwise nothing of it was taken. */
  propose(bodies: readonly Body[]): 'busy' | 'notLeader' | undefined
}

/** What the gate needs of the command codec. */
export interface GateCodec {
  /** Who proposed; undefined = too short or no envelope. */
  readEnvelope(body: Uint8Array): { readonly node: number; readonly incarnation: number; readonly sequence: number } | undefined
  /** A sentence about what is wrong with the command; undefined = it may be appended. */
  check(body: Uint8Array): string | undefined
}

export interface GateAnswer {
  /** Of the whole frame: nothing of it was appended. */
  readonly refused: Exclude<FrameRefusalReason, 'broken'> | undefined
  /** Sequence that the answer is about: the frame's first; 0 when it has none. */
  readonly firstSequence: number
  /** Sequences left out because their command is broken. */
  readonly broken: readonly number[]
}

/** One proposal of our own gateway, ready to append. */
export interface OwnProposal {
  readonly sequence: number
  readonly body: Body
}

interface Session {
  incarnation: number
  /** Last accepted in this leadership. */
  sequence: number
  /** The run that may go on; 0 = none, a frame was refused and nothing but a new run will do. */
  run: number
  /** The last run heard of. */
  lastRun: number
}

const noneBroken: readonly number[] = []

export class ProposalGate {
  readonly #raft: GateRaft
  readonly #codec: GateCodec
  /** By gateway node. */
  readonly #sessions = new Map<number, Session>()
  #term = 0

  constructor(raft: GateRaft, codec: GateCodec) {
    this.#raft = raft
    this.#codec = codec
  }

  /** A gateway's frame. Its bodies are views; Raft has copied them, or not taken them, when this returns. */
  acceptFrame(from: number, frame: ProposalsFrame): GateAnswer {
    const first = frame.bodies[0]?.parts[0]
    const firstSequence = (first && this.#codec.readEnvelope(first)?.sequence) ?? 0
    if (!this.#raft.isLeader || frame.term !== this.#raft.term) return { refused: 'wrongTerm', firstSequence, broken: noneBroken }
    const session = this.#sessionOf(from, frame.incarnation)
    if (session === undefined) return { refused: 'corrupt', firstSequence, broken: noneBroken }
    if (!isNextFrame(session, frame)) {
      if (frame.run >= session.lastRun) session.run = 0
      return { refused: 'gap', firstSequence, broken: noneBroken }
    }
    session.run = frame.run
    session.lastRun = frame.run
    const bodies: Body[] = []
    const broken: number[] = []
    let last = 0
    for (const body of frame.bodies) {
      const bytes = body.parts[0]
      const envelope = bytes && this.#codec.readEnvelope(bytes)
      if (
        bytes === undefined ||
        envelope?.node !== from ||
        envelope.incarnation !== frame.incarnation ||
        envelope.sequence <= last ||
        crc32cOf(body.parts) !== body.crc
      ) {
        session.run = 0
        return { refused: 'corrupt', firstSequence, broken: noneBroken }
      }
      last = envelope.sequence
      if (last <= session.sequence) continue
      if (this.#codec.check(bytes) === undefined) bodies.push(body)
      else broken.push(last)
    }
    const refused = this.#append(session, bodies, last)
    if (refused !== undefined) session.run = 0
    return { refused, firstSequence, broken: refused === undefined ? broken : noneBroken }
  }

  /** Our own gateway's proposals, in order. Their encoder is in this process: nothing to check. */
  acceptOwn(node: number, incarnation: number, proposals: readonly OwnProposal[]): 'wrongTerm' | 'busy' | undefined {
    if (!this.#raft.isLeader) return 'wrongTerm'
    const session = this.#sessionOf(node, incarnation)
    if (session === undefined) return 'wrongTerm'
    const bodies: Body[] = []
    let last = 0
    for (const { sequence, body } of proposals) {
      last = sequence
      if (sequence > session.sequence) bodies.push(body)
    }
    return this.#append(session, bodies, last)
  }

  #append(session: Session, bodies: readonly Body[], last: number): 'wrongTerm' | 'busy' | undefined {
    if (bodies.length > 0) {
      const rejected = this.#raft.propose(bodies)
      if (rejected !== undefined) return rejected === 'busy' ? 'busy' : 'wrongTerm'
    }
    if (last > session.sequence) session.sequence = last
    return undefined
  }

  /** undefined = a frame out of a former life of that node. */
  #sessionOf(node: number, incarnation: number): Session | undefined {
    if (this.#raft.term !== this.#term) {
      // What an earlier leadership appended may be gone: only apply knows.
      this.#term = this.#raft.term
      this.#sessions.clear()
    }
    let session = this.#sessions.get(node)
    if (session !== undefined && session.incarnation > incarnation) return undefined
    if (session === undefined || session.incarnation < incarnation) {
      session = { incarnation, sequence: 0, run: 0, lastRun: 0 }
      this.#sessions.set(node, session)
    }
    return session
  }
}

function isNextFrame(session: Session, frame: ProposalsFrame): boolean {
  if (frame.isRestart) return frame.run > session.lastRun
  return frame.run === session.run && frame.previousSequence === session.sequence
}
