/**
 * What a group can bear (the premises of the faults `lostDisk…`). A machine may lose its disk if
 *
 *   - its node is counted in the group, and the committed log knows it by the directory that goes: before that, its loss is that of a new node;
 *   - of every set of voters that may decide something now or soon (of the memberships in any log, of their goals, of what the operator is asking for)
 *     no more than a minority is lost: so of what was acknowledged somebody in every majority of the rest still has it;
 *   - no more than a minority of the founders has nothing on its disk: with the configuration of the first day they would be a new group (0020);
 *   - the others are up, their disks are well and were not harmed before, their logs and votes are worth what they say.
 *
 * Until the lost one is out of the group or is taken in anew, no other disk is harmed, and a power cut keeps nothing that was not synced. A record that is
 * longer than a flush may still be torn (seed 60000102; `mustWait` in watch.ts): a torn tail asks for everybody's vote
 * (docs/decisions/0008), and nobody has that of the one that is lost (docs/disks.md).
 */
import { type Membership } from '../raft/index.ts'
import type { MembersWish } from '../src/broker/admin-requests.ts'
import { isCounted, type LostDirectories } from './checkers/lost-directories.ts'
import type { LiveNode } from './checkers/checker.ts'
import type { Roster } from './checkers/membership.ts'

/** A machine, as far as it matters here. */
export interface Bearer {
  readonly id: number
  readonly isDiskBad: boolean
  /** Its disk has held something else than what was written to it. */
  readonly wasHarmed: boolean
  /** It has lost a disk, and nothing is on the one that it has now. */
  readonly isBlank: boolean
  readonly node: LiveNode | undefined
}

export interface LostDisksParts {
  readonly founders: number
  readonly hosts: readonly Bearer[]
  readonly roster: Pick<Roster, 'newest' | 'possible'>
  readonly directories: Pick<LostDirectories, 'isBound' | 'isMissing'>
  /** What the operator is asking for now. */
  wishes(): readonly MembersWish[]
}

export class LostDisks {
  readonly #parts: LostDisksParts

  constructor(parts: LostDisksParts) {
    this.#parts = parts
  }

  /** The group goes by a disk that is gone. */
  isMissing(node: number): boolean {
    return this.#parts.directories.isMissing(node)
  }

  /** Some disk is missing: no other one may be harmed. */
  get isShort(): boolean {
    return this.missing.length > 0
  }

  get missing(): readonly number[] {
    return this.#parts.hosts.filter(({ id }) => this.isMissing(id)).map(({ id }) => id)
  }

  mayLose(host: Bearer): boolean {
    const { hosts, roster, directories, founders } = this.#parts
    if (host.isDiskBad || !directories.isBound(host.id) || this.isMissing(host.id)) return false
    const memberships = roster.possible
    if (!memberships.some(membership => isCounted(membership, host.id))) return false
    if (!this.#isBorne([...this.missing, host.id], this.#parts.wishes())) return false
    const blank = hosts.filter(({ id, isBlank }) => id <= founders && (isBlank || id === host.id))
    if (host.id <= founders && !isMinority(blank.length, founders)) return false
    const others = hosts.filter(other => other !== host && !this.isMissing(other.id))
    return others.every(other => !other.wasHarmed && (isWell(other) || !memberships.some(membership => isCounted(membership, other.id))))
  }

  /** Whether the group that this wish asks for could decide anything without the disks that are missing. */
  mayAsk(wish: MembersWish): boolean {
    return this.#isBorne(this.missing, [...this.#parts.wishes(), wish])
  }

  #isBorne(missing: readonly number[], wishes: readonly MembersWish[]): boolean {
    const sets = this.#parts.roster.possible.flatMap(membership => setsOf(membership, wishes))
    return sets.every(set => isMinority(missing.filter(id => set.includes(id)).length, set.length))
  }
}

function isWell({ node, isDiskBad }: Bearer): boolean {
  if (node === undefined || isDiskBad) return false
  const { logTrust, voteWithheldAt, role } = node.raft.core.inspect()
  return logTrust === 'whole' && voteWithheldAt === undefined && role.kind !== 'recovering'
}

/** Every set of voters that may come of this membership. */
function setsOf({ voters, outgoing, goal }: Membership, wishes: readonly MembersWish[]): readonly (readonly number[])[] {
  const asked = wishes.flatMap(wish => (wish.kind === 'cancel' ? [] : [wish]))
  const wanted = asked.map(({ add, remove }) => [...new Set([...voters.filter(id => !remove.includes(id)), ...add.map(({ id }) => id)])])
  return [voters, outgoing, goal ?? [], ...wanted].filter(set => set.length > 0)
}

function isMinority(count: number, of: number): boolean {
  return count === 0 || count <= (of - 1) / 2
}
