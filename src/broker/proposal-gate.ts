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
  /**
   * Appends in order. `rejected` runs at most once, if nothing of these bodies got into the log after all: at once with `full`, when a pool of the leader
   * has no room, or later. False = not even tried.
   */
  propose(bodies: readonly Body[], rejected: (reason: 'full' | 'busy' | 'notLeader') => void): boolean
}

/** What the gate needs of the command codec. */
export interface GateCodec {
  /** Who proposed; undefined = too short or no envelope. */
  readEnvelope(body: Uint8Array): { readonly node: number; readonly incarnation: number; readonly sequence: number } | undefined
  /** A sentence about what is wrong with the command; undefined = it may be appended. */
  check(body: Uint8Array): string | undefined
}

/** Why a frame was refused, or which of its proposals is broken. May come at once or when Raft has thought about it. */
export type GateRefusal = (reason: FrameRefusalReason, sequence: number) => void

/** Why our own gateway's proposals were refused. */
export type OwnRefusal = 'wrongTerm' | 'busy' | 'full'

/** One proposal of our own gateway, ready to append. */
export interface OwnProposal {
  readonly sequence: number
  readonly body: Body
}

interface Session {
  readonly incarnation: number
  /** Last accepted in this leadership. */
  sequence: number
  /** The run that may go on; 0 = none, a frame was refused and nothing but a new run will do. */
  run: number
  /** The last run heard of. */
  lastRun: number
}

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

  /** A gateway's frame. Its bodies are views that live on until they are in the log. */
  acceptFrame(from: number, frame: ProposalsFrame, refuse: GateRefusal): void {
    const first = frame.bodies[0]?.parts[0]
    const firstSequence = (first && this.#codec.readEnvelope(first)?.sequence) ?? 0
    if (!this.#raft.isLeader || frame.term !== this.#raft.term) return refuse('wrongTerm', firstSequence)
    const session = this.#sessionOf(from, frame.incarnation)
    if (session === undefined) return refuse('corrupt', firstSequence)
    if (!isNextFrame(session, frame)) {
      if (frame.run >= session.lastRun) session.run = 0
      return refuse('gap', firstSequence)
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
        return refuse('corrupt', firstSequence)
      }
      last = envelope.sequence
      if (last <= session.sequence) continue
      if (this.#codec.check(bytes) === undefined) bodies.push(body)
      else broken.push(last)
    }
    this.#append(session, bodies, last, reason => refuse(reason, firstSequence))
    for (const sequence of broken) refuse('broken', sequence)
  }

  /** Our own gateway's proposals, in order. Their encoder is in this process: nothing to check. */
  acceptOwn(node: number, incarnation: number, proposals: readonly OwnProposal[], refuse: (reason: OwnRefusal) => void): void {
    if (!this.#raft.isLeader) return refuse('wrongTerm')
    const session = this.#sessionOf(node, incarnation)
    if (session === undefined) return refuse('wrongTerm')
    const bodies: Body[] = []
    let last = 0
    for (const { sequence, body } of proposals) {
      last = sequence
      if (sequence > session.sequence) bodies.push(body)
    }
    this.#append(session, bodies, last, refuse)
  }

  /**
   * The number of such a node belongs to nobody any more, or to somebody new, whose directory may have been made by a clock that is behind: what was
   * heard under it before says nothing of what comes.
   */
  forgetRetired(isRetired: (node: number) => boolean): void {
    for (const node of this.#sessions.keys()) if (isRetired(node)) this.#sessions.delete(node)
  }

  #append(session: Session, bodies: readonly Body[], last: number, refuse: (reason: OwnRefusal) => void): void {
    const before = session.sequence
    const term = this.#term
    const rejected = (reason: 'full' | 'busy' | 'notLeader'): void => {
      if (this.#term === term) {
        // They must be taken again when they come again.
        session.run = 0
        session.sequence = Math.min(session.sequence, before)
      }
      refuse(reason === 'notLeader' ? 'wrongTerm' : reason)
    }
    if (last > session.sequence) session.sequence = last
    if (bodies.length > 0 && !this.#raft.propose(bodies, rejected)) rejected('notLeader')
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
