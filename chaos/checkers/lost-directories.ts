/**
 * A number whose data directory is lost has no say until it is taken in anew (rule 12, docs/decisions/0020, I17): while every membership that may be in force
 * knows it by the lost one, its process leads nothing, gives no vote that counts in full, and acknowledges no entry. Damage is never turned into "it was
 * never there". In the end each voter is known by its directory.
 *
 * Others ask here which losses the group still has to get over.
 */
import { memberOf, nodeId, type Membership } from '../../raft/index.ts'
import { Violation } from '../violation.ts'
import type { Said } from '../wire-tap.ts'
import type { Checker, NodeView } from './checker.ts'
import type { Roster } from './membership.ts'

export interface LostDirectories extends Checker {
  /** This leaves the node now. */
  said(view: NodeView, message: Said): void
  /** The committed membership knows the node by the directory that is on its disk. */
  isBound(node: number): boolean
  /** The group counts on a directory of this node that is gone, or is about to. */
  isMissing(node: number): boolean
}

/** Its vote counts, or will as soon as the change under way is over. */
export function isCounted({ voters, outgoing, goal = [] }: Membership, node: number): boolean {
  const id = nodeId(node)
  return voters.includes(id) || outgoing.includes(id) || goal.includes(id)
}

export function lostDirectories(roster: Pick<Roster, 'newest' | 'possible'>): LostDirectories {
  /** By node: the ids of the directories that it has lost. */
  const lost = new Map<number, Set<string>>()

  const directoryIn = (membership: Membership, node: number): string | undefined => memberOf(membership, nodeId(node))?.directory
  const standsIn = (membership: Membership, node: number): boolean =>
    lost.get(node)?.has(directoryIn(membership, node) ?? '') === true && isCounted(membership, node)

  const expectNoPart = ({ id }: NodeView, what: string): void => {
    if (lost.has(id) && roster.possible.every(membership => standsIn(membership, id)))
      throw new Violation('I17', `node ${id} has lost the data directory that its group knows it by, and ${what}`)
  }

  return {
    name: 'lost directories',
    isBound: node => {
      // Also of one that is leaving, and is still named by the directory that it has lost (seed 32007118).
      const directory = directoryIn(roster.newest, node)
      return directory !== undefined && lost.get(node)?.has(directory) !== true
    },
    isMissing: node => lost.has(node) && roster.possible.some(membership => standsIn(membership, node)),
    diskLost({ id }) {
      const directory = directoryIn(roster.newest, id)
      if (directory === undefined) return
      const known = lost.get(id) ?? new Set()
      lost.set(id, known.add(directory))
    },
    nodeChanged(view, _node, now) {
      if (now.role === 'leader') expectNoPart(view, `leads term ${now.term}`)
    },
    atEnd() {
      const nameless = roster.newest.voters.find(id => directoryIn(roster.newest, id) === undefined)
      if (nameless !== undefined) throw new Violation('I17', `node ${nameless} votes, and its group does not know by which data directory`)
    },
    said(view, message) {
      const { kind } = message
      if (kind === 'appendAccepted') expectNoPart(view, `acknowledges entries up to ${message.durableIndex}`)
      else if (kind === 'voteReply' && message.granted && !message.isConditional)
        expectNoPart(view, `gives its vote in term ${message.term} as if it had forgotten none`)
    },
  }
}
