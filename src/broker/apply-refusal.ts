/** From what apply or the proposer said to what a client is told. One table. */
import type { ApplyRefusal } from '../state/result.ts'
import type { Rejected, Unknown } from './outcome.ts'
import { refuse, type Refusal } from './refusal.ts'

/** `name`: the topic or consumer group that the request was about. */
export function applyRefusal(reason: ApplyRefusal, name: string): Refusal {
  switch (reason) {
    case 'topicNotFound':
      return refuse('topicNotFound', `There is no topic ${name}: create it first.`)
    case 'topicExists':
      return refuse('preconditionFailed', `There is a topic ${name} with another type or number of queues.`)
    case 'tooManyTopics':
      return refuse('tooManyRequests', 'The cluster holds as many topics as it may: delete some.')
    case 'tooManyGroups':
      return refuse('tooManyRequests', 'The cluster holds as many consumer groups as it may.')
    case 'messageTypeMismatch':
      return refuse('messagePropertyConflictWithType', `Topic ${name} does not take messages of this type.`)
    case 'dedupeTableFull':
      return refuse('tooManyRequests', 'More messages were sent lately than can be remembered for recognising repeats: come again later.')
    case 'tooManyInFlight':
      return refuse('tooManyRequests', `Too many messages of ${name} are delivered and not yet settled: settle some.`)
    case 'notMember':
      return refuse('haNotAvailable', 'This node does not belong to the group (any more): send to another one.')
    case 'late':
      return refuse('proxyTimeout', 'The request took too long on its way to the log and was refused there: send it again.')
  }
}

/** A proposal that ended without being applied. */
export function outcomeRefusal(outcome: Rejected | Unknown): Refusal {
  if (outcome.kind === 'unknown') return patienceRefusal(outcome.cause === 'noAnswer')
  if (outcome.reason === 'broken') return refuse('internalServerError', 'The leader found a command of this node broken.')
  if (outcome.reason === 'full') return leaderFullRefusal()
  return patienceRefusal(false)
}

/** The leader had no room until patience was over: nothing has happened. */
function leaderFullRefusal(): Refusal {
  return refuse(
    'tooManyRequests',
    'The node that leads waits for a disk with as much as it may hold, so nothing was taken: come again later, and send less at once.',
  )
}

/** Patience is over. */
export function patienceRefusal(hasLeader: boolean): Refusal {
  return hasLeader
    ? refuse('proxyTimeout', 'No answer from the cluster in time; it may still have happened. Sending the same message id again is safe.')
    : refuse('haNotAvailable', 'The cluster has no leader at the moment: come again; raftmq cluster status says why.')
}
