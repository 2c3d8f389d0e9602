/**
 * Votes are given once and kept. Who leads a term has the votes of a majority on their disks, of each half of its membership (I1: a voter may have gone
 * on to a later term since);
 * a node's vote in a term never changes, neither in its memory nor on its disk, through all its lives, and its term on disk never goes back (I2, Raft §5.2).
 * Asking whether others would vote raises no term (A52, thesis 9.6).
 */
import { Violation } from '../violation.ts'
import type { Checker, NodeView, TermAndVote } from './checker.ts'
import { halvesOf, inForce, isQuorum } from './membership.ts'

export function votes(views: readonly NodeView[]): Checker {
  const kept = new Map<number, TermAndVote>()
  /** By node: how often faults had damaged its hard state. */
  const damaged = new Map<number, number>()
  const remembered = new Map<number, TermAndVote>()

  const compare = (where: string, known: TermAndVote | undefined, now: TermAndVote): void => {
    if (known === undefined || now.term > known.term) return
    if (now.term < known.term) throw new Violation('I2', `${where}: term ${known.term} went back to ${now.term}`)
    if (known.votedFor === undefined || known.votedFor === now.votedFor) return
    throw new Violation('I2', `${where}: the vote of term ${now.term}, given to node ${known.votedFor}, is ${now.votedFor ?? 'gone'}`)
  }

  /** A vote that was given does not go with the disk that it stood on. */
  const supports = (vote: TermAndVote | undefined, term: number, candidate: number): boolean =>
    vote !== undefined && (vote.term > term || (vote.term === term && vote.votedFor === candidate))

  return {
    name: 'votes',
    diskLost(view) {
      kept.delete(view.id)
    },
    nodeStarted(view) {
      remembered.delete(view.id)
    },
    nodeChanged(view, node, now, before) {
      const { term, votedFor } = node.raft.core.inspect()
      compare(`node ${view.id}`, remembered.get(view.id), { term, votedFor })
      remembered.set(view.id, { term, votedFor })
      if (now.role === 'preCandidate' && before.term > 0 && now.term > before.term && votedFor === view.id)
        throw new Violation('A52', `node ${view.id} raised its term from ${before.term} to ${now.term} only to ask who would vote for it`)
      const onDisk = view.trueVote.read()
      const { damages } = view.trueVote
      if (damages !== (damaged.get(view.id) ?? 0)) kept.delete(view.id)
      damaged.set(view.id, damages)
      if (onDisk !== undefined) {
        compare(`the disk of node ${view.id}`, kept.get(view.id), onDisk)
        kept.set(view.id, onDisk)
      }
      if (now.role !== 'leader' || (before.role === 'leader' && before.term === now.term)) return
      const supporters = views.filter(
        ({ trueVote, lostDisk }) => supports(trueVote.read(), now.term, view.id) || supports(lostDisk?.vote, now.term, view.id),
      )
      const membership = inForce(node)
      if (!isQuorum(membership, id => supporters.some(other => other.id === id)))
        throw new Violation(
          'I1',
          `node ${view.id} leads term ${now.term} with the votes of ${supporters.map(({ id }) => id).join()} on disk, of ${halvesOf(membership).join(' and ')}`,
        )
    },
  }
}
