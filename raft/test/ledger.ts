/**
 * What nobody in the cluster can know: who led which term, who voted for whom, which entries are committed. Sees all nodes, across restarts, and
 * throws as soon as a promise of raft is broken. The names I1 … I19 are those of catalogue.md.
 */
import type { Message } from '../core/message.ts'
import type { NodeId } from '../core/ids.ts'
import type { ProposalOutcome, ReadEnd } from '../core/output.ts'
import type { Membership } from '../core/membership.ts'
import { membershipsOf } from './disk-image.ts'
import type { TestEntry } from './disk-image.ts'
import type { TestNode } from './mini-cluster.ts'

interface Seen {
  term: number
  commitIndex: number
  appliedIndex: number
}

export class Violation extends Error {}

function demand(condition: boolean, law: string, ...facts: readonly unknown[]): asserts condition {
  if (!condition) throw new Violation(`${law}: ${facts.map(String).join(', ')}`)
}

export class Ledger {
  /** Committed entries, from index 1, as first seen. */
  readonly committed: TestEntry[] = []
  readonly outcomes = new Map<number, ProposalOutcome['kind']>()
  electionCount = 0
  /** Ended with an index. */
  readCount = 0
  /** With disks that lose what they had synced, a leader may count a copy that is gone by then; the votes' rules must make up for it. */
  readonly #areTearsAllowed: boolean
  readonly #leaders = new Map<number, string>()
  readonly #votes = new Map<string, NodeId>()
  readonly #entries = new Map<string, string>()
  readonly #seen = new Map<NodeId, Seen>()
  readonly #owners = new Map<number, NodeId>()
  /** What was committed when a read began, by ticket; until it ends. */
  readonly #reads = new Map<number, number>()

  constructor(areTearsAllowed: boolean) {
    this.#areTearsAllowed = areTearsAllowed
  }

  started(node: TestNode): void {
    const before = this.#seen.get(node.id)
    const state = node.core?.inspect()
    if (state === undefined) return
    demand(before === undefined || state.term >= 0, 'I3 term', node.id)
    this.#seen.set(node.id, { term: state.term, commitIndex: state.commitIndex, appliedIndex: state.appliedIndex })
  }

  /** Its open proposals will never hear of their end. */
  crashed(node: TestNode): void {
    this.#seen.delete(node.id)
    for (const [ticket, owner] of this.#owners) {
      if (owner === node.id && this.outcomes.get(ticket) === 'appended') this.outcomes.set(ticket, 'unknown')
    }
  }

  /** I1: at most one leader a term, a restarted one counting as another. I5: it holds every committed entry. */
  elected(node: TestNode, term: number): void {
    const who = `${node.id}#${node.disk.incarnation}`
    const other = this.#leaders.get(term)
    demand(other === undefined || other === who, 'I1 two leaders', term, other, who)
    this.#leaders.set(term, who)
    this.electionCount++
    for (const entry of this.committed) {
      const own = node.disk.written[entry.index - 1]
      demand(
        own?.term === entry.term && own.value === entry.value,
        'I5 leader lacks a committed entry',
        node.id,
        term,
        entry.index,
        entry.value,
      )
    }
  }

  /** I2: a vote that has been told is never given again, whatever restarts lie between; asking for votes is voting for oneself. */
  sent(node: TestNode, to: NodeId, message: Message): void {
    if (message.kind === 'vote') this.#voted(node.id, message.term, node.id)
    if (message.kind === 'voteReply' && message.granted) this.#voted(node.id, message.term, to)
    if (message.kind === 'vote' || (message.kind === 'voteReply' && message.granted)) {
      demand(node.disk.hardState.term >= message.term, 'I12 vote before its term is on disk', node.id, message.term)
    }
  }

  #voted(voter: NodeId, term: number, candidate: NodeId): void {
    const key = `${voter}/${term}`
    const before = this.#votes.get(key)
    demand(before === undefined || before === candidate, 'I2 two votes', key, before, candidate)
    this.#votes.set(key, candidate)
  }

  /** I4 by induction: the same (index, term) is the same entry behind the same predecessor. */
  written(node: TestNode, entries: readonly TestEntry[]): void {
    let prevTerm = entries[0] === undefined ? 0 : (node.disk.written[entries[0].index - 2]?.term ?? 0)
    for (const entry of entries) {
      const key = `${entry.index}/${entry.term}`
      const content = `${entry.value} ${entry.kind} ${entry.wallMs} after ${prevTerm}`
      const before = this.#entries.get(key)
      demand(before === undefined || before === content, 'I4 logs differ', key, before, content)
      this.#entries.set(key, content)
      prevTerm = entry.term
      const ticket = /^v(\d+)\./.exec(entry.value)?.[1]
      if (ticket !== undefined) demand(this.outcomes.get(Number(ticket)) !== 'rejected', 'rejected proposal in a log', entry.value)
    }
  }

  commitOf(node: TestNode): number {
    return this.#seen.get(node.id)?.commitIndex ?? 0
  }

  /** I3, I6, I7, I8: what this node says is committed is what everybody says, and a leader has counted right. */
  advanced(node: TestNode, nodes: readonly TestNode[]): void {
    const state = node.core?.inspect()
    const seen = this.#seen.get(node.id)
    if (state === undefined || seen === undefined) return
    demand(state.term >= seen.term, 'I3 term goes back', node.id, seen.term, state.term)
    demand(state.commitIndex >= seen.commitIndex, 'I3 commit goes back', node.id, seen.commitIndex, state.commitIndex)
    demand(state.appliedIndex >= seen.appliedIndex, 'I3 applied goes back', node.id, seen.appliedIndex, state.appliedIndex)
    if (state.role.kind === 'leader' && state.commitIndex > seen.commitIndex) this.#countedRight(node, nodes, state.commitIndex)
    for (let index = seen.commitIndex + 1; index <= state.commitIndex; index++) {
      const own = node.disk.written[index - 1]
      demand(own !== undefined, 'I9 committed without the entry', node.id, index)
      const known = this.committed[index - 1]
      if (known === undefined) {
        demand(index <= node.countedIndex, 'I9 a follower commits first', node.id, index)
        this.committed.push(own)
      } else {
        demand(known.term === own.term && known.value === own.value, 'I6 two entries committed', index, known.value, own.value)
        demand(known.wallMs === own.wallMs, 'I6 two stamps', index, known.wallMs, own.wallMs)
      }
    }
    this.#seen.set(node.id, { term: state.term, commitIndex: state.commitIndex, appliedIndex: state.appliedIndex })
  }

  #countedRight(leader: TestNode, nodes: readonly TestNode[], index: number): void {
    const entry = leader.disk.written[index - 1]
    demand(entry?.term === leader.core?.inspect().term, 'I8 commits an entry of another term', leader.id, index)
    if (this.#areTearsAllowed) return
    const hasIt = (id: NodeId) => nodes[id - 1]?.disk.log[index - 1]?.term === entry?.term
    const isMajority = (set: readonly NodeId[]) => 2 * set.filter(hasIt).length > set.length
    const isQuorum = ({ voters, outgoing }: Membership) => isMajority(voters) && (outgoing.length === 0 || isMajority(outgoing))
    // By the membership in force as it counted: the last of its log, or the one before where its commit has just made it append the next.
    const history = membershipsOf(leader.disk.written)
    const last = history.at(-1)
    const inForce = last !== undefined && last.index > index ? history.slice(-2) : history.slice(-1)
    demand(
      inForce.some(({ membership }) => isQuorum(membership)),
      'I8 commits what no majority has on disk',
      leader.id,
      index,
    )
  }

  /** Each proposal ends once: appended, then committed or unknown; or rejected. */
  outcome(node: TestNode, outcome: ProposalOutcome): void {
    const { ticket, kind } = outcome
    const before = this.outcomes.get(ticket)
    if (kind === 'appended' || kind === 'rejected') demand(before === undefined, 'second outcome', node.id, ticket, before, kind)
    else demand(before === 'appended', 'outcome without append', node.id, ticket, before, kind)
    this.outcomes.set(ticket, kind)
    this.#owners.set(ticket, node.id)
    if (kind !== 'committed') return
    const entry = node.disk.written[outcome.firstId.index - 1]
    demand(
      entry?.value.split(' ', 1)[0] === `v${ticket}.1` && entry.term === outcome.firstId.term,
      'committed elsewhere',
      ticket,
      outcome.firstId.index,
    )
  }

  readBegun(ticket: number): void {
    this.#reads.set(ticket, this.committed.length)
  }

  /** I15: it covers all that anybody knew to be committed when it began, and ends once. */
  readEnded(node: TestNode, end: ReadEnd): void {
    const committedThen = this.#reads.get(end.ticket)
    demand(committedThen !== undefined, 'a read ends twice', node.id, end.ticket)
    this.#reads.delete(end.ticket)
    if (end.kind !== 'ready') return
    this.readCount++
    demand(end.index >= committedThen, 'I15 a read misses what was committed before it began', node.id, end.index, committedThen)
  }

  /** After every step: stamps rise along each log (rule 4), and leaders know no more of a follower than is true (I10). */
  check(nodes: readonly TestNode[]): void {
    for (const node of nodes) {
      const state = node.core?.inspect()
      if (state === undefined) continue
      const { written } = node.disk
      const last = written.at(-1)
      const before = written.at(-2)
      if (last !== undefined && before !== undefined) demand(last.wallMs >= before.wallMs, 'stamps fall', node.id, last.index)
      const isDrained = node.core?.output.persists.length === 0 && state.role.kind !== 'recovering'
      demand(!isDrained || written.length === state.log.lastIndex, 'log length', node.id, written.length, state.log.lastIndex)
      if (state.role.kind !== 'leader' || this.#areTearsAllowed) continue
      for (const progress of state.role.peers) {
        const peer = nodes[progress.peer - 1]
        if (peer?.core?.inspect().term !== state.term || progress.durableIndex === 0) continue
        const theirs = peer.disk.log[progress.durableIndex - 1]
        const ours = written[progress.durableIndex - 1]
        demand(
          theirs?.value === ours?.value && theirs !== undefined,
          'I10 leader overrates a follower',
          node.id,
          peer.id,
          progress.durableIndex,
        )
      }
    }
  }
}
