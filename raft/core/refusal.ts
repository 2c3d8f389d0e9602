/**
 * Every way in which the core says no or looks away: one id each, for traces and tests (a test demands that some scenario shows each of them).
 * The order is that of the protocol: envelope, votes, appends, answers, wishes.
 */
export const refusals = {
  'R-01-not-a-voter': 'an answer from a node outside the group, or anything under our own number',
  'R-02-stale-term': 'a request of an older term; the answer tells ours',
  'R-03-stale-reply': 'an answer to something that we asked in an older term',
  'R-04-lease': 'a vote wanted while we hear from a leader, or are one',
  'R-05-vote-withheld': 'our hard state may have forgotten a vote: none is given until a leader of a higher term is heard',
  'R-06-voted-for-another': 'one vote for each term',
  'R-07-log-behind': 'the candidate lacks entries that we have',
  'R-08-rival': 'two pre-candidates with equal logs: the one with the lower number goes on',
  'R-09-not-asking': 'an answer to a vote request that we are not waiting for any more',
  'R-10-stale-session': 'the leader has opened a newer session with us',
  'R-11-other-incarnation': 'a session with an earlier process of ours',
  'R-12-malformed-slice': 'entries that no leader of this term can have sent',
  'R-13-gap': 'we do not hold the entry before the slice',
  'R-14-not-leading': 'an answer to a leader, and we are none',
  'R-15-stale-session-reply': 'an answer from another session than the present one',
  'R-16-stale-conflict': 'a conflict about what has matched since, or from an earlier probe',
  'R-17-beyond-log': 'the answer claims more than we have or asked',
  'R-18-unknown-session': 'the peer is another process than the one the session was opened with',
  'R-19-not-leader': 'a proposal to a node that does not lead',
  'R-20-busy': 'too many uncommitted bytes',
  'R-21-not-our-leader': 'the peer that died does not lead us',
  'R-22-early-round-spent': 'one early election for each election timeout',
  'R-23-stalled': 'our own clock jumped: what waits in the sockets is read before we campaign or step down',
  'R-24-already-leading': 'a campaign wanted of a leader',
  'R-25-needs-snapshot': 'the peer needs entries that we have compacted away, or too many: it gets a snapshot',
  'R-26-no-vote-of-ours': 'an election would be due, and we are no voter',
  'R-27-removed': 'an election would be due, or a vote is asked of an empty log, and we were told that we are removed',
  'R-28-no-such-change': 'a change of membership that can not be, or not now',
  'R-40-transferring': 'a proposal to a leader that is handing over',
  'R-41-no-transfer': 'a wish to hand over that can not be begun',
  'R-42-not-our-transfer': 'told to take over by somebody who does not lead us, or in an earlier session',
  'R-43-no-read': 'a wish to read of a node that knows no leader, or has asked already',
  'R-44-read-not-leading': 'a peer wants to read, and we do not lead, or a later term than its',
  'R-45-read-not-open': 'an answer to a read that we do not wait for any more',
  'R-50-recovering': 'our log has rotted and is not mended yet: no vote, no acknowledgement',
} as const

export type Refusal = keyof typeof refusals
