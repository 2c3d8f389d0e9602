/** The names of the faults. What each does stands in the file of its family in this folder; `catalog.ts` puts them together. */
export const faultKinds = [
  'crashLeader', // power cut of the leader
  'crashNode', // power cut of any node
  'crashPair', // power cut of two nodes at the same moment
  'crashAll', // power cut of the whole group
  'crashVoter', // a node loses power just after it voted, and is back while the election still runs
  'crashVoters', // a leader has just been elected: all others lose power, and it is cut off
  'crashRewriting', // a node loses power just after its log was cut back
  'stopNode', // orderly stop and start
  'pauseNode', // the process stands still, then goes on as if nothing had been
  'pauseLeader',
  'isolateLeader', // nothing in, nothing out
  'isolateNewLeader', // at the moment it wins its election
  'isolateNode',
  'rivals', // two nodes with suffixes of different terms; the older one wins
  'oneWay', // a node hears nothing, but is heard; or the other way round
  'bridge', // two nodes see each other only through the third
  'reset', // all connections of two nodes break
  'resetStorm', // and again every 200 ms
  'lossyLink', // a third of the chunks is lost for a while
  'slowLink', // far away for a while
  'slowDisk', // every sync takes long
  'clockHour', // a calendar clock jumps by an hour
  'clockYearLeader', // the leader's calendar clock jumps by a year
  'clockMajority', // the calendar clocks of two nodes jump by an hour, together
  'clientCut', // a gateway can't be reached by clients
] as const

export type FaultKind = (typeof faultKinds)[number]
