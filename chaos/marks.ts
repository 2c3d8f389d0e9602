/**
 * Marks: situations that a night of seeds must have met, or it has not tested them. The world hits them; the report lists which were never met.
 * Every way in which the Raft core says no is one of them.
 */
import { refusals, type Refusal } from '../raft/index.ts'

const worldMarks = [
  'leader changed with sends in flight',
  'leader changed with deliveries in flight',
  'two nodes believed to lead at once',
  'uncommitted entries were overwritten',
  'a node restarted from a checkpoint',
  'a node restarted without a checkpoint',
  'a restart found a torn tail',
  'all nodes were down at once',
  'a bare quorum served',
  'a bare quorum had to wait: a vote was conditional',
  'a bare quorum had to wait: nobody in it had what had rotted',
  'a group had to wait: rot on one disk, a torn log on another',
  'a group had to wait: one disk lost, a torn log on another',
  'a send was answered as a duplicate',
  'a copy of a proposal was ignored by apply',
  'a proposal was refused as late',
  'a send took more than one attempt',
  'equal message ids with different content',
  'a message was delivered again',
  'a message went to the dead letters',
  'a repeated attempt got the same batch',
  'an outlived receipt handle was refused',
  'a delivery was released',
  'a node was declared down',
  'a node was declared up again',
  'a calendar clock jumped by a year',
  'the cluster time leapt',
  'a digest check was applied',
  'the feature level was raised',
  'an older build was turned away',
  'a node stopped itself because of its disk',
  'rot was found at work, and mended from a peer',
  'rot was found at a start, and mended from peers',
  'a rotten piece of the queue index was met',
  'a second copy stood in for one that had rotted',
  'a lost state came from another node',
  'a node was asked for its vote while its log was rotten',
  'a leader handed over because its disk was slow',
  'an entry of an earlier term was committed by a later leader',
  'one slot of the hard state was lost',
  'the state was rebuilt from the log',
  'a snapshot was installed',
  'a fetch of a snapshot went on where it had ended',
  'a node found that it had stood still',
  "a node saw the leader's process die",
  'a damaged frame was met',
  'a segment was sealed',
  'a segment was deleted',
  'messages were given up by retention',
  'a message was carried forward',
  'a leader had no room for a proposal',
  'a change of members was accepted',
  'a change of members was taken back',
  'the group was five nodes',
  'the group was one node',
  'a removed node came back',
  'the disk of a node was lost',
  'the disk of a leader was lost',
  'a disk was lost while members were changing',
  'a node that came back with an empty disk was refused',
  'a node whose disk was lost was taken in anew, and caught up',
  'another node took the place of one whose disk was lost',
] as const

export type Mark = (typeof worldMarks)[number] | Refusal

/** Situations that this version of the product can't meet in this world, and why. Transcripts of the core show each of them. */
const outOfReach: readonly Mark[] = [
  'R-12-malformed-slice', // frames and records carry checksums, and every leader here is one of ours: only another program sends such entries
  'R-17-beyond-log', // … or such answers: sessions keep what a peer said of another log apart
  'R-18-unknown-session', // the answer leaves on the data link, which the leader reads only after that link's hello told it the same (R-15 then)
  'R-20-busy', // the driver looks at all three pools before the core hears of a proposal
  'R-24-already-leading', // there is no operator who asks for a campaign
]

export const markNames: readonly Mark[] = [...worldMarks, ...(Object.keys(refusals) as Refusal[])].filter(
  mark => !outOfReach.includes(mark),
)

export class Marks {
  readonly #hits = new Map<Mark, number>()

  hit(mark: Mark): void {
    this.#hits.set(mark, (this.#hits.get(mark) ?? 0) + 1)
  }

  counts(): Readonly<Partial<Record<Mark, number>>> {
    return Object.fromEntries(this.#hits)
  }
}
