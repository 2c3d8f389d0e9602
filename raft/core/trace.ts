/** One line for a message, for traces, transcripts and debugging. Not for the hot path. */
import type { EntryId } from './ids.ts'
import type { LogSlice } from './entry.ts'
import type { Message } from './message.ts'
import { assertNever } from '../../src/platform/assert.ts'

/** `append term 2 after 5/1: 6..9, commit 5`. Entries are written index/term. */
export function describeMessage(message: Message): string {
  const head = `${message.kind} term ${message.term}`
  switch (message.kind) {
    case 'preVote':
      return `${head} last ${place(message.last)} round ${message.round}${message.leaderLost ? ', leader lost' : ''}`
    case 'preVoteReply':
      return `${head} ${verdict(message)} round ${message.round}`
    case 'vote':
      return `${head} last ${place(message.last)}${message.isTransfer ? ', told to take over' : ''}`
    case 'voteReply':
      return `${head} ${verdict(message)}`
    case 'append':
      return `${head} after ${place(message.slice.prev)}: ${range(message.slice)}, commit ${message.commitIndex}`
    case 'appendAccepted':
      return `${head} matched ${message.matchedIndex}, durable ${message.durableIndex}`
    case 'appendConflict':
      return `${head} refused ${message.refusedIndex}, hint ${place(message.hint)}`
    case 'appendRefused':
    case 'timeoutNow':
      return head
    case 'snapshotOffer':
      return `${head} commit ${message.commitIndex}`
    case 'heartbeat':
      return `${head} commit ${message.commitIndex} round ${message.round}`
    case 'readIndex':
      return `${head} read ${message.read}`
    case 'readIndexReply':
      return `${head} read ${message.read}: ${message.index ?? 'not leading'}`
    case 'heartbeatReply':
      return `${head} applied ${message.appliedIndex} round ${message.round}`
    default:
      return assertNever(message)
  }
}

function place({ index, term }: EntryId): string {
  return `${index}/${term}`
}

function range(slice: LogSlice): string {
  const first = slice.prev.index + 1
  if (slice.lastIndex < first) return 'nothing'
  return slice.lastIndex === first ? `${first}` : `${first}..${slice.lastIndex}`
}

function verdict(reply: { readonly granted: boolean; readonly isConditional: boolean }): string {
  if (!reply.granted) return 'refused'
  return reply.isConditional ? 'granted if all grant' : 'granted'
}
