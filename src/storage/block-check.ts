/** Blocks of records as they come from a peer: checked as a whole before anything is believed, then walked. Pure. */
import { decodeMembership, EntryKind } from '../../raft/index.ts'
import type { BlockCheck, EntryId, LogIndex, MembershipAt, TermRun } from '../../raft/index.ts'
import { viewOf } from '../platform/bytes.ts'
import { checkRecord, describeProblem, linkOf, recordBodyBytes, recordBytes, recordHeaderBytes, recordKind } from './record.ts'
import type { ChainLink } from './record.ts'
import { noteTerm } from './term-runs.ts'

const prevCrcAt = 32

/**
 * Checks that `bytes` are whole records which follow `prev`: headers, bodies, chain, running indexes, terms that do not fall.
 * `prevCrc` is the headerCrc of `prev` where the receiver holds that entry; without it the first record's link can't be judged yet.
 */
export function checkBlockBytes(prev: EntryId, prevCrc: number | undefined, bytes: Uint8Array): BlockCheck {
  const view = viewOf(bytes)
  const runs: TermRun[] = []
  const memberships: MembershipAt[] = []
  const firstCrc = prevCrc ?? (bytes.length >= recordHeaderBytes ? view.getUint32(prevCrcAt, true) : 0)
  let link: ChainLink = { index: prev.index, term: prev.term, headerCrc: firstCrc, wallMs: 0 }
  for (let position = 0; position < bytes.length;) {
    const problem = checkRecord(bytes, view, position, bytes.length, link)
    if (problem !== undefined)
      return { kind: 'corrupt', problem: `record ${link.index + 1}, byte ${position} of a block, ${describeProblem(problem)}` }
    link = linkOf(view, position)
    noteTerm(runs, link.index, link.term)
    if (recordKind(view, position) === EntryKind.config) {
      const bodyAt = position + recordHeaderBytes
      const decoded = decodeMembership(bytes.subarray(bodyAt, bodyAt + recordBodyBytes(view, position)))
      if (decoded.kind === 'bad') return { kind: 'corrupt', problem: `record ${link.index} holds no membership: ${decoded.problem}` }
      memberships.push({ index: link.index as LogIndex, membership: decoded.membership })
    }
    position += recordBytes(view, position)
  }
  const lastIndex = link.index as LogIndex
  const block = { prev, lastIndex, runs, bytes: bytes.length, lastWallMs: link.wallMs, buffers: [bytes] }
  return { kind: 'ok', block, memberships }
}

/** Visits the records of bytes that were checked before. */
export function walkBlock(bytes: Uint8Array, visit: (position: number, size: number, link: ChainLink, prevCrc: number) => void): void {
  const view = viewOf(bytes)
  for (let position = 0; position < bytes.length;) {
    const size = recordBytes(view, position)
    visit(position, size, linkOf(view, position), view.getUint32(position + prevCrcAt, true))
    position += size
  }
}
