/**
 * The driver's side of the membership: connections follow what is in force, the application hears of each change, and a member that says it lives somewhere
 * else than the log says gets its address in the log corrected by the leader. The number is the identity; an address is only where it was last; the data
 * directory is the memory behind the number, written down when the member is first heard, and never changed (transport.ts lets no other one in).
 */
import { assert } from '../../src/platform/assert.ts'
import type { RaftCore } from '../core/core.ts'
import { applyChange } from '../core/changing.ts'
import type { MembershipChange } from '../core/event.ts'
import type { NodeId } from '../core/ids.ts'
import { memberOf } from '../core/membership.ts'
import type { Member, Membership, MembershipAt } from '../core/membership.ts'
import { membershipAt } from '../core/members.ts'
import { isRemoved } from '../core/node-state.ts'
import { parseAddress } from './address.ts'
import type { MembershipView, RaftApp } from './app.ts'
import type { PeerAddress, Transport } from './transport.ts'

export interface MembershipWatchOptions {
  readonly core: RaftCore
  readonly transport: Pick<Transport, 'follow' | 'isUp'>
  readonly app: Pick<RaftApp, 'membershipChanged'>
  readonly self: Member
  readonly join: readonly PeerAddress[]
  /** The leader wants the log corrected. */
  wish(change: MembershipChange): void
}

export class MembershipWatch {
  readonly #options: MembershipWatchOptions
  readonly #introduced = new Map<NodeId, Member>()
  #told: MembershipView
  #toldOut = { index: 0, isOtherDirectory: false }

  constructor(options: MembershipWatchOptions) {
    this.#options = options
    this.#introduced.set(options.self.id, options.self)
    // As the transport was made: only what changes from here on is news.
    this.#told = { at: options.core.inspect().members.current, isCommitted: false, isRemoved: false, isOtherDirectory: false }
  }

  /** A member said who and where it is. */
  introduced(member: Member): void {
    this.#introduced.set(member.id, member)
  }

  /**
   * A member said that we are out: because we were removed, or because our number has another directory. Who knows an older membership than another who told
   * us, as one that was removed itself, knows less.
   */
  toldOut(index: number, isOtherDirectory: boolean): void {
    if (index >= this.#toldOut.index) this.#toldOut = { index, isOtherDirectory }
  }

  /** After each turn. */
  tell(): void {
    const { core, transport, app } = this.#options
    const node = core.inspect()
    const at = node.members.current
    const isOut = isRemoved(node)
    const isCommitted = at.index <= node.commitIndex
    const isOtherDirectory = isOut && this.#toldOut.isOtherDirectory && this.#toldOut.index >= at.index
    const view = { at, isCommitted, isRemoved: isOut, isOtherDirectory }
    const told = this.#told
    const isKnown = told.isRemoved === isOut && told.isOtherDirectory === view.isOtherDirectory
    if (told.at === at && told.isCommitted === isCommitted && isKnown) return
    this.#told = view
    // Who is a stranger depends on what is committed, too.
    if (told.at !== at || told.isCommitted !== isCommitted) transport.follow(this.#addresses(at.membership))
    app.membershipChanged?.(view)
  }

  /** As leader, from time to time: what members say of themselves goes into the log. */
  maybeRecordMoves(): void {
    const { core } = this.#options
    const { role, members, commitIndex } = core.inspect()
    if (role.kind !== 'leader' || commitIndex < role.firstOwnIndex || members.current.index > commitIndex) return
    const { membership } = members.current
    for (const known of membership.members) {
      const said = this.#asItSaid(known)
      if (said === undefined || isSame(known, said) || parseAddress(said.address) === undefined) continue
      const change = { kind: 'update', member: said } as const
      // What can't be, as a name that another member still has, keeps nobody else waiting.
      if (typeof applyChange(membership, change) !== 'string') return this.#options.wish(change)
    }
  }

  /** A directory is written down once, and only of who is here now: what an earlier process of the number said may be gone. */
  #asItSaid(known: Member): Member | undefined {
    const { self, transport } = this.#options
    const said = this.#introduced.get(known.id)
    if (said === undefined) return undefined
    const { id, name, address, clientAddress } = said
    const isHere = id === self.id || transport.isUp(id)
    const directory = known.directory ?? (isHere ? said.directory : undefined)
    return { id, name, address, clientAddress, ...(directory === undefined ? {} : { directory }) }
  }

  #addresses(membership: Membership): PeerAddress[] {
    return dialled(membership, this.#options).map(peer => {
      const said = parseAddress(this.#introduced.get(peer.id)?.address ?? '')
      return said === undefined ? peer : { ...peer, address: said }
    })
  }
}

function isSame(a: Member, b: Member): boolean {
  return a.name === b.name && a.address === b.address && a.clientAddress === b.clientAddress && a.directory === b.directory
}

/** Whom a node with this membership has connections with; without one it dials where it was told to join. */
export function dialled(
  membership: Membership,
  { self, join }: { readonly self: Member; readonly join?: readonly PeerAddress[] },
): PeerAddress[] {
  if (memberOf(membership, self.id) === undefined && membership.members.length === 0) return [...(join ?? [])]
  const peers: PeerAddress[] = []
  for (const { id, address, directory } of membership.members) {
    if (id === self.id) continue
    const parsed = parseAddress(address)
    assert(parsed !== undefined, 'member-address', id, address)
    peers.push({ id, address: parsed, ...(directory === undefined ? {} : { directory }) })
  }
  return peers
}

/** The newest membership that is committed, as far as this node knows; index 0 when none is. */
export function committedMembership(core: RaftCore): MembershipAt {
  const { members, commitIndex } = core.inspect()
  return membershipAt(members, commitIndex)
}
