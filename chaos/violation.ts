/**
 * What a checker throws. The id names the anomaly: A-numbers are the catalogue of consumer-visible and replica anomalies, I-numbers the invariants
 * of Raft; docs/anomalies.md lists both. The first violation ends a seed: what comes after it proves nothing.
 */
export type ViolationId =
  | 'A1' // an acknowledged message is lost
  | 'A3' // an acknowledged message never reaches a group
  | 'A5' // a message nobody sent
  | 'A6' // right message, wrong content
  | 'A8' // appended twice
  | 'A10' // two answers about one queue offset
  | 'A12' // a hole in a queue's offsets
  | 'A14' // a later send stands before an earlier acknowledged one
  | 'A22' // order of a message group broken
  | 'A25' // delivered after its acknowledgement was applied
  | 'A26' // delivered twice inside its invisible time
  | 'A27' // never delivered again after its time ran out
  | 'A28' // an outlived receipt handle accepted, or a good one refused
  | 'A33' // a message vanished between attempts and dead letters
  | 'A35' // attempt counter wrong
  | 'A45' // refused for certain, and yet applied
  | 'A46' // two leaders in a term
  | 'A47' // a committed entry changed, or logs that must agree differ
  | 'A48' // a term or a commit index went back
  | 'A49' // replicas' states differ at one index
  | 'A51' // no progress although everything is healed
  | 'A23' // a message group in two queues
  | 'A34' // to the dead letters too early, or not at all
  | 'A52' // an election, or a change of leader, that nothing asked for
  | 'A53' // somebody waits for what is there
  | 'A56' // deleted while it was still needed
  | 'A57' // a leader with a slow disk stays, or the leadership goes to and fro
  | 'A58' // a membership that Raft does not allow, or that a node does not go by
  | 'A54' // told to be absent, and it is there
  | 'rule16' // a node is called down or up, and is not
  | 'I1' // a leader without a majority of votes
  | 'I2' // a vote changed, or a term went back
  | 'I5' // a leader lacks a committed entry
  | 'I8' // a leader committed through an entry of an earlier term
  | 'I9' // a follower calls verified what does not agree with its leader
  | 'I10' // a leader believes of a peer's log what is not so, or was told so
  | 'I12' // committed without a majority of disks behind it
  | 'I13' // applied what the own disk does not hold
  | 'I15' // a read that missed what was committed before it began
  | 'I17' // damage was taken for "it was never there"
  | 'I18' // a healed quorum does not serve in bounded time; a leader that no majority has answered for long
  | 'I19' // something grew over its bound
  | 'rule4' // cluster time moved without a majority of clocks
  | 'rule6' // a proposal taken twice, or ignored
  | 'rule7' // a late command taken, or one refused that was not late
  | 'rule14' // a delivery whose gateway says nothing of it, or is gone
  | 'halted' // a node stopped itself although its disk is fine
  | 'assertion' // the product's own assertion failed
  | 'crash' // the product threw something else

export class Violation extends Error {
  readonly id: ViolationId
  readonly facts: readonly (string | number | undefined)[]

  /** `what` is a sentence with the evidence. */
  constructor(id: ViolationId, what: string, facts: readonly (string | number | undefined)[] = []) {
    super(what)
    this.name = 'Violation'
    this.id = id
    this.facts = facts
  }
}

/** Throws a violation unless `holds`. `what` is only built when it does not. */
export function expectThat(holds: boolean, id: ViolationId, what: () => string): asserts holds {
  if (!holds) throw new Violation(id, what())
}
