/** What the log says of one message that a group was given, and what that means for its attempts. */

/** Of a time: it never comes; its negative: it was over before. */
export const never = Number.POSITIVE_INFINITY
/** In a row's `client`: no client holds it any more. */
export const nobody = ''

/** A message that was given out: as it was given last. */
export interface DeliveryRow {
  sequence: number
  attempt: number
  /** Not visible before this. */
  deadlineMs: number
  client: string
  /** Gateway that got it. */
  node: number
  isConfirmed: boolean
  /** Once confirmed it is the client's while that lives. */
  autoRenew: boolean
  /** Given back so that it does not count as an attempt. */
  isSuspended: boolean
  isSettled: boolean
  /** Its gateway or its client was declared gone: from here on it may come again. */
  liftAtMs: number
  /** The receive it was given to, while that may be repeated. */
  attemptName: string | undefined
  givenAtMs: number
  /** Index of the entry that said its gateway is gone, while the row was unconfirmed; 0 again when its client is heard in time after all (seed 3100047). */
  orphanedBy: number
}

/**
 * By how much the end of this delivery may raise the attempt, when it has ended by `wallMs`: what was released or suspended is not counted, what was
 * confirmed is, and what was not is counted only where its time ran out: where its gateway or its client is gone, too, that depends on what came first.
 */
export function countedBetween(row: DeliveryRow, wallMs: number): readonly [low: number, high: number] {
  if (row.deadlineMs === -never || row.isSuspended) return [0, 0]
  if (row.isConfirmed || row.liftAtMs === never) return [1, 1]
  return wallMs < row.deadlineMs ? [0, 0] : [0, 1]
}
