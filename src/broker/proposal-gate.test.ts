/** What a leader takes of the proposals that gateways send it, and what it refuses. */
import { expect, test } from 'vitest'
import { crc32cOf } from '../platform/bytes.ts'
import type { Envelope } from '../state/command.ts'
import { encodeCommand } from '../state/command-codec.ts'
import { decodePeerFrame, encodeProposals, type Body, type ProposalsFrame } from './peer-frame.ts'
import { ProposalGate } from './proposal-gate.ts'
import { entryKinds } from '../state/machine.ts'
import { FakeWorld } from './testing/fake-world.ts'
import { codec, parse, threeGateways } from './testing/gateways.ts'

function barrierOf(envelope: Envelope): Body {
  const { parts, bytes } = codec.encode(envelope, { kind: 'barrier' })
  return { parts, bytes, crc: crc32cOf(parts) }
}

/** A barrier of gateway 2, alone in its frame; one that follows nothing begins a run. */
function frameOf(term: number, sequence: number, previousSequence: number, run: number, incarnation = 1): ProposalsFrame {
  const made = barrierOf({ node: 2, incarnation, sequence, sentAtMs: 1 })
  const body = { parts: [Buffer.concat(made.parts)], bytes: made.bytes, crc: made.crc }
  return { kind: 'proposals', term, incarnation, run, isRestart: previousSequence === 0, previousSequence, bodies: [body] }
}

function offer(gate: ProposalGate, from: number, frame: ProposalsFrame): string[] {
  const refusals: string[] = []
  gate.acceptFrame(from, frame, (reason, sequence) => refusals.push(`${reason} ${sequence}`))
  return refusals
}

test('the leader drops copies of what it has appended in its term', () => {
  const { group, clock, b } = threeGateways()
  group.isCommitHeld = true
  b.propose('x')
  clock.advance(2_000)
  expect(b.proposer.status().restarts).toBeGreaterThan(0)
  expect(group.log.length).toBe(1)
})

test('a frame that names another term is refused whole', () => {
  const { group, a } = threeGateways()
  const gate = new ProposalGate(a.node, codec)
  expect(offer(gate, 2, frameOf(a.node.term - 1, 1, 0, 1))).toEqual(['wrongTerm 1'])
  expect(group.log.length).toBe(0)
  expect(offer(gate, 2, frameOf(a.node.term, 1, 0, 1))).toEqual([])
  expect(group.log.length).toBe(1)
})

test('a frame that does not follow the last one taken is refused, and so is all that follows until a new run', () => {
  const { group, a } = threeGateways()
  group.isCommitHeld = true
  const gate = new ProposalGate(a.node, codec)
  const { term } = a.node
  expect(offer(gate, 2, frameOf(term, 1, 0, 1))).toEqual([])
  expect(offer(gate, 2, frameOf(term, 3, 2, 1))).toEqual(['gap 3'])
  expect(offer(gate, 2, frameOf(term, 2, 1, 1))).toEqual(['gap 2'])
  expect(offer(gate, 2, frameOf(term, 2, 0, 2))).toEqual([])
  expect(group.log.map(entry => parse(entry.body).sequence)).toEqual([1, 2])
})

test('the beginning of a run that comes after that of a later one is refused, and the later one goes on', () => {
  const { group, a } = threeGateways()
  group.isCommitHeld = true
  const gate = new ProposalGate(a.node, codec)
  const { term } = a.node
  expect(offer(gate, 2, frameOf(term, 1, 0, 2))).toEqual([])
  expect(offer(gate, 2, frameOf(term, 4, 0, 1))).toEqual(['gap 4'])
  expect(offer(gate, 2, frameOf(term, 2, 1, 2))).toEqual([])
  expect(group.log.map(entry => parse(entry.body).sequence)).toEqual([1, 2])
})

test('a body whose checksum does not hold, or of another sender, is refused', () => {
  const { group, a } = threeGateways()
  const gate = new ProposalGate(a.node, codec)
  const frame = frameOf(a.node.term, 1, 0, 1)
  expect(offer(gate, 2, { ...frame, bodies: frame.bodies.map(body => ({ ...body, crc: body.crc + 1 })) })).toEqual(['corrupt 1'])
  expect(offer(gate, 3, frame)).toEqual(['corrupt 1'])
  expect(offer(gate, 2, { ...frame, incarnation: 2 })).toEqual(['corrupt 1'])
  expect(group.log.length).toBe(0)
})

test('a frame of a former life is refused once the new one was heard', () => {
  const { a } = threeGateways()
  const gate = new ProposalGate(a.node, codec)
  expect(offer(gate, 2, frameOf(a.node.term, 1, 0, 1, 2))).toEqual([])
  expect(offer(gate, 2, frameOf(a.node.term, 1, 0, 1))).toEqual(['corrupt 1'])
  // Its number was given up, and somebody has it whose directory was made by a clock that is behind (seed 30003847).
  gate.forgetRetired(node => node === 3)
  expect(offer(gate, 2, frameOf(a.node.term, 1, 0, 1))).toEqual(['corrupt 1'])
  gate.forgetRetired(node => node === 2)
  expect(offer(gate, 2, frameOf(a.node.term, 1, 0, 1))).toEqual([])
})

test('every cut and every flipped bit of a frame head is noticed', () => {
  const body = barrierOf({ node: 2, incarnation: 3, sequence: 4, sentAtMs: 5 })
  const frame = { kind: 'proposals', term: 7, incarnation: 3, run: 9, isRestart: false, previousSequence: 3, bodies: [body, body] } as const
  const bytes = Uint8Array.from(Buffer.concat(encodeProposals(frame)))
  const read = decodePeerFrame(bytes)
  expect(read).toMatchObject({ kind: 'proposals', term: 7, incarnation: 3, run: 9, isRestart: false, previousSequence: 3 })
  for (let length = 0; length < bytes.length; length++) expect(decodePeerFrame(bytes.subarray(0, length))).toBeUndefined()
  for (let bit = 0; bit < (40 + 16) * 8; bit++) {
    const flipped = Uint8Array.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(decodePeerFrame(flipped)?.kind === 'proposals').toBe(false)
  }
})

test('a gateway whose number was given up, and given again, is heard by a leader that stayed (seed 30003847)', () => {
  const world = new FakeWorld()
  const { group, clock } = world
  const { hooks, machine } = world.at(1)
  const hear = (incarnation: number): number => {
    const { parts, bytes } = encodeCommand({ node: 2, incarnation, sequence: 1, sentAtMs: clock.wallMs() }, { kind: 'tick' })
    const before = group.log.length
    const bodies = [{ parts, bytes, crc: crc32cOf(parts) }]
    const frame = { kind: 'proposals', term: group.term, incarnation, run: 1, isRestart: true, previousSequence: 0, bodies } as const
    hooks.peerFrame(2, Uint8Array.from(Buffer.concat(encodeProposals(frame))))
    return group.log.length - before
  }
  expect(hear(9)).toBe(1)
  clock.advance(10)
  expect([machine.session(2)?.incarnation, hear(5)]).toEqual([9, 0])
  const body = Buffer.from(JSON.stringify({ format: 1, members: [1, 3].map(id => ({ id, name: `n${id}` })), idMax: 3 }))
  const entry = { index: machine.appliedIndex + 1, wallMs: clock.wallMs() }
  hooks.applied(entry, machine.apply({ ...entry, term: group.term, kind: entryKinds.config, body }))
  expect(hear(5)).toBe(1)
})
