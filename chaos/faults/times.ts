/** How long the usual faults last. */
type Range = readonly [low: number, high: number]

/** A node is down: from a moment to eight election timeouts. */
export const downMs = (electionTimeoutMs: number): Range => [50, 8 * electionTimeoutMs]
/** Something is cut off or stands still: may end before anybody notices. */
export const cutMs = (electionTimeoutMs: number): Range => [electionTimeoutMs / 4, 10 * electionTimeoutMs]
/** A fault lies in wait for its moment. */
export const waitMs = (): Range => [2_000, 10_000]
