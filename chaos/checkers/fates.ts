/**
 * What a gateway is told about its proposals is so (DESIGN truth 6, rule 6). "Applied" names the entry that carries it; what is "rejected" is nowhere in
 * the log and never will be (A45); and nothing is overtaken while it still has patience: a gateway sends its unapplied proposals again in order, and a
 * leader appends them in order, so a hole can only be one that nobody waits for any more.
 * A leader may tell that an entry is applied and die in the same moment, the only one that knew it to be committed: that is judged when others know it too.
 */
import type { ProposeOutcome } from '../../src/broker/outcome.ts'
import { expectThat } from '../violation.ts'
import type { Checker } from './checker.ts'

/** One proposal of one life of a node. */
export interface ProposalName {
  readonly node: number
  readonly incarnation: number
  readonly sequence: number
}

export interface Fates extends Checker {
  /** The node has told whoever proposed this. Judged by `settle`, or when the entry that it names is known to be committed. */
  told(proposal: ProposalName, outcome: ProposeOutcome): void
  /** All that is committed by now has been seen: what was told since the last call is judged. */
  settle(): void
}

interface Told {
  readonly name: string
  readonly outcome: ProposeOutcome
}

export function fates(): Fates {
  /** By proposal: the entry that apply took it from. */
  const takenAt = new Map<string, number>()
  const rejected = new Set<string>()
  /** Told that their fate is not known. */
  const unknown = new Set<string>()
  let open: Told[] = []
  let committedThrough = 0

  const judge = (name: string, outcome: ProposeOutcome): void => {
    const at = takenAt.get(name)
    switch (outcome.kind) {
      case 'applied':
        return expectThat(
          at === outcome.logIndex,
          'rule6',
          () => `proposal ${name} is told to be applied by entry ${outcome.logIndex}, and was ${at === undefined ? 'not' : `by ${at}`}`,
        )
      case 'unknown':
        unknown.add(name)
        return
      case 'rejected':
        expectThat(
          at === undefined,
          'A45',
          () => `proposal ${name} is told to be rejected (${outcome.reason}), and entry ${at ?? 0} applied it`,
        )
        expectThat(
          outcome.reason !== 'overtaken' || unknown.has(name),
          'rule6',
          () => `proposal ${name} was overtaken by a later one of its node while somebody still waited for it`,
        )
        rejected.add(name)
    }
  }

  return {
    name: 'fates',
    committed({ index, proposer, result }) {
      committedThrough = index
      if (proposer === undefined || result === undefined) return
      const name = nameOf(proposer)
      expectThat(!rejected.has(name), 'A45', () => `entry ${index} applies proposal ${name}, which was told to be rejected for certain`)
      // A late copy out of an earlier life, from before its node was removed: refused, and told to nobody.
      if (takenAt.has(name) && result.kind === 'refused' && result.reason === 'notMember') return
      takenAt.set(name, index)
    },
    told(proposal, outcome) {
      open.push({ name: nameOf(proposal), outcome })
    },
    settle() {
      if (open.length === 0) return
      const told = open
      open = []
      for (const one of told) {
        if (one.outcome.kind === 'applied' && one.outcome.logIndex > committedThrough) open.push(one)
        else judge(one.name, one.outcome)
      }
    },
    atEnd() {
      for (const { name, outcome } of open) judge(name, outcome)
    },
  }
}

function nameOf({ node, incarnation, sequence }: ProposalName): string {
  return `${sequence} of node ${node} (life ${incarnation})`
}
