/**
 * Who belongs to the group, as an operator sees and wishes it: any node takes a wish and brings it to the leader, which puts it into the log; what follows
 * (catching up, the joint membership, the farewell) Raft does by itself, whoever leads. So a yes here says that the change stands in the log and is committed.
 */
import type { Clock } from '../platform/clock.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import { encodeWish } from './peer-frame.ts'
import type { BrokerRaft } from './raft-view.ts'
import { refuse, type Refusal } from './refusal.ts'
import type { ChangeMembersRequest, MembersChangedAnswer, MembersView, MembersWish } from './admin-requests.ts'
import type { Reply } from './requests.ts'

export interface MembersOptions {
  readonly node: number
  readonly raft: BrokerRaft
  readonly clock: Clock
  readonly deadlines: Deadlines
}

type Answer = MembersChangedAnswer | Refusal

/** What a gateway tells the leader, and what the leader says to it. */
type Frame =
  | { readonly kind: 'changeMembers'; readonly id: number; readonly wish: MembersWish }
  | { readonly kind: 'membersAnswer'; readonly id: number; readonly answer: Answer }

const waitersMax = 16

/** Why a change is refused, by Raft's reason. */
const sentences: Readonly<Record<string, string>> = {
  changeInProgress: 'another change of members is not finished; wait for it, or cancel it',
  noVoterLeft: 'nobody would be left to vote',
  nothingToCancel: 'no change is under way',
  tooLate: 'the change has gone too far to be taken back; it finishes by itself',
  invalid: 'a group has at most 9 voters and 32 members, and each has a name of its own',
}

/** Where another node is dialled nobody can be found: the node would be taken in, never heard, and never catch up. */
function takenAddress(wish: MembersWish, { members }: MembersView): string | undefined {
  if (wish.kind === 'cancel') return undefined
  const staying = members.filter(({ id, role }) => role !== 'removed' && !wish.remove.includes(id))
  for (const [i, node] of wish.add.entries()) {
    const others = [...staying, ...wish.add.slice(0, i)].filter(({ id }) => id !== node.id)
    for (const address of [node.peerAddress, node.clientAddress]) {
      const owner = others.find(other => other.peerAddress === address || other.clientAddress === address)
      if (owner !== undefined) {
        const what = owner.peerAddress === address ? 'peer' : 'client'
        return `${address} is the ${what} address of member ${owner.name}: ${node.name} needs addresses of its own`
      }
    }
  }
  return undefined
}

/** Undefined: the one that was asked does not lead, or does not any more. */
function sentenceOf(reason: string, wish: MembersWish, { members }: MembersView): string | undefined {
  const { add, remove } = wish.kind === 'cancel' ? { add: [], remove: [] } : wish
  const named = (ids: readonly number[]): string => ids.map(id => members.find(member => member.id === id)?.name ?? `node ${id}`).join(', ')
  const isVoter = (id: number): boolean => members.some(member => member.id === id && member.role === 'voter')
  const isMember = (id: number): boolean => members.some(member => member.id === id && member.role !== 'removed')
  if (reason === 'alreadyMember') return `${named(add.map(({ id }) => id).filter(isVoter))} is a voter already`
  if (reason === 'notMember') return `${named(remove.filter(id => !isMember(id)))} is no member`
  return sentences[reason]
}

export class Members {
  readonly #options: MembersOptions
  readonly #waiters = new Map<number, { readonly reply: (answer: Answer) => void; readonly deadline: Deadline }>()
  #lastId = 0

  constructor(options: MembersOptions) {
    this.#options = options
  }

  change(request: ChangeMembersRequest, reply: Reply<MembersChangedAnswer>): void {
    const { raft, node, clock, deadlines } = this.#options
    const { leaderId } = raft
    if (leaderId === undefined)
      return clock.soon(() => reply(refuse('haNotAvailable', 'nobody leads at the moment: raftmq cluster status says why')))
    if (this.#waiters.size >= waitersMax) return clock.soon(() => reply(refuse('tooManyRequests', 'other changes are being waited for')))
    const id = ++this.#lastId
    const deadline = deadlines.at(request.deadlineMs, () => {
      this.#end(id, refuse('proxyTimeout', 'no answer in time: the change may be under way; look at the list of members'))
    })
    this.#waiters.set(id, { reply, deadline })
    if (leaderId === node) return this.#ask(request.wish, answer => clock.soon(() => this.#end(id, answer)))
    const frame: Frame = { kind: 'changeMembers', id, wish: request.wish }
    if (!this.#send(leaderId, frame)) clock.soon(() => this.#end(id, refuse('haNotAvailable', 'there is no connection to the leader')))
  }

  /** A frame of another node's `Members`; others are not for us. */
  onWish(from: number, json: string): void {
    const frame = parseFrame(json)
    if (frame?.kind === 'membersAnswer') this.#end(frame.id, frame.answer)
    if (frame?.kind === 'changeMembers') this.#ask(frame.wish, answer => this.#send(from, { kind: 'membersAnswer', id: frame.id, answer }))
  }

  close(): void {
    for (const { deadline } of this.#waiters.values()) deadline.cancel()
    this.#waiters.clear()
  }

  #ask(wish: MembersWish, answer: (answer: Answer) => void): void {
    const { raft } = this.#options
    // What the leader's log says: a node that was asked may lag.
    const members = raft.membership()
    const taken = takenAddress(wish, members)
    if (taken !== undefined) return answer(refuse('preconditionFailed', taken))
    raft.changeMembers(wish, outcome => {
      if (outcome.kind === 'done') return answer({ kind: 'membersChanged', index: outcome.index })
      if (outcome.kind === 'unknown')
        return answer(refuse('proxyTimeout', 'the leadership changed: the change may be under way; look at the list of members'))
      const sentence = sentenceOf(outcome.reason, wish, members)
      if (sentence === undefined) return answer(refuse('haNotAvailable', 'the node that was asked does not lead any more'))
      answer(refuse('preconditionFailed', sentence))
    })
  }

  #send(to: number, frame: Frame): boolean {
    return this.#options.raft.sendToPeer(to, encodeWish({ kind: 'wish', json: JSON.stringify(frame) }))
  }

  #end(id: number, answer: Answer): void {
    const waiter = this.#waiters.get(id)
    if (waiter === undefined) return
    this.#waiters.delete(id)
    waiter.deadline.cancel()
    waiter.reply(answer)
  }
}

/** Peers of one cluster run one program: the frame's checksum vouches for the rest. */
function parseFrame(json: string): Frame | undefined {
  try {
    return JSON.parse(json) as Frame
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
