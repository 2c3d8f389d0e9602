/**
 * Replication sessions: one run between a leader and one incarnation of a peer. Every answer of a follower names its session, and the leader drops
 * answers of any other one: so an acknowledgement that was given before a restart can't speak for the log after it (catalogue B49, B50).
 * A session holds the peer's incarnation, so that a follower knows too whether it is meant: what it is told may then count as news after its restart.
 */
import { assert } from '../../src/platform/assert.ts'
import type { Session } from './ids.ts'

/** Sessions that one process opens with one incarnation of a peer. */
const countMax = 2 ** 22
/** A restart counter is below this. */
export const incarnationMax = 2 ** 30

/** `incarnation` 0: the leader has not heard which one it talks to. */
export function makeSession(incarnation: number, count: number): Session {
  assert(incarnation >= 0 && incarnation < incarnationMax, 'session-incarnation', incarnation)
  assert(count >= 1 && count < countMax, 'session-count', count)
  return (incarnation * countMax + count) as Session
}

/** The incarnation that the session was opened with; 0 = the leader did not know. */
export function incarnationOf(session: Session): number {
  return Math.floor(session / countMax)
}
