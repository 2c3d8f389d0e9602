/**
 * Marks: situations that a night of seeds must have met, or it has not tested them. The world hits them; the report lists which were never met.
 */
export const markNames = [
  'leader changed with sends in flight',
  'leader changed with deliveries in flight',
  'two nodes believed to lead at once',
  'uncommitted entries were overwritten',
  'a node restarted from a checkpoint',
  'a node restarted without a checkpoint',
  'a restart found a torn tail',
  'all nodes were down at once',
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
  'an entry of an earlier term was committed by a later leader',
] as const

export type Mark = (typeof markNames)[number]

export class Marks {
  readonly #hits = new Map<Mark, number>()

  hit(mark: Mark): void {
    this.#hits.set(mark, (this.#hits.get(mark) ?? 0) + 1)
  }

  counts(): Readonly<Partial<Record<Mark, number>>> {
    return Object.fromEntries(this.#hits)
  }
}
