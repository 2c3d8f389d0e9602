/** What became deliverable since the gateway last asked. No state: a node that restarts has nobody waiting. */
import type { Place } from './cursors.ts'
import type { Topic } from './topics.ts'

export interface Wakes {
  /** Topics with new messages. */
  readonly topics: Set<Topic>
  /** Places with messages visible again, or with room for more after they were full. */
  readonly places: Set<Place>
  /** Places with messages that wait only because their group, or the table of rows, is full: found so by a pop, or by a gateway that asked. */
  readonly starved: Set<Place>
}

export function newWakes(): Wakes {
  return { topics: new Set(), places: new Set(), starved: new Set() }
}
