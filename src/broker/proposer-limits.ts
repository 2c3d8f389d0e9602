/** The bounds of a proposer, and how long it waits before it says things again. */
export interface ProposerLimits {
  /** Proposals that somebody waits for. */
  readonly pendingCountMax: number
  readonly pendingBytesMax: number
  /** Soft: one proposal may exceed it. */
  readonly frameBytesMax: number
  /** Without any own apply for so long, all is sent again; doubles up to eight times that. */
  readonly stallMs: number
  /** After a leader said that it has no room, or is none. */
  readonly refusedPauseMs: number
  /** … that a pool of it is full: that takes longer than a hand-over. */
  readonly fullPauseMs: number
}

/** With those that only wait for their fate: so many times the limit. Then one at a time goes, and its apply tells all the fates before it. */
export const fatelessFactor = 4
/** Void ones that may stay among the others. */
export const voidsMax = 256

export const defaultLimits: ProposerLimits = {
  pendingCountMax: 20_000,
  pendingBytesMax: 64 * 1024 * 1024,
  frameBytesMax: 1024 * 1024,
  stallMs: 500,
  refusedPauseMs: 20,
  fullPauseMs: 100,
}
