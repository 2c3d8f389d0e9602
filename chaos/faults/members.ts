/**
 * What an operator wishes of the membership while everything else goes on: nodes added, removed, replaced, and a change taken back. Whom it is about is
 * decided when it strikes, from what a node that answers says of the members, as an operator would.
 */
import type { Fault, Undo } from './fault.ts'

/** Counted if there was something to ask for. */
const asked = (hasAsked: boolean): Undo | undefined => (hasAsked ? () => undefined : undefined)

export const memberAdd: Fault = {
  about: 'nodes are added to the group, one or two in a step',
  lastsMs: () => [1, 1],
  everyMs: [6_000, 15_000],
  needs: ['membership'],
  strike: powers => asked(powers.operator.add(powers.random)),
}

export const memberRemove: Fault = {
  about: 'voters are removed from the group, one or two in a step',
  lastsMs: () => [1, 1],
  everyMs: [6_000, 15_000],
  needs: ['membership'],
  strike: powers => asked(powers.operator.remove(powers.random)),
}

export const memberReplace: Fault = {
  about: 'a voter is replaced by another node, in one step',
  lastsMs: () => [1, 1],
  everyMs: [6_000, 15_000],
  needs: ['membership'],
  strike: powers => asked(powers.operator.replace(powers.random)),
}

export const memberCancel: Fault = {
  about: 'an operator takes back the change of members that is under way',
  lastsMs: () => [1, 1],
  everyMs: [6_000, 20_000],
  needs: ['membership'],
  strike: powers => asked(powers.operator.cancel(powers.random)),
}
