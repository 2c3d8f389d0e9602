/** The identities that the core speaks of. Integers are `number`, asserted safe where they enter (docs/decisions/0001). */
import { assert } from '../../src/platform/assert.ts'

declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** Election period. Starts at 1; 0 = none yet. */
export type Term = Brand<number, 'Term'>
/** Place in the Raft log. Starts at 1; 0 is the place before the first entry. */
export type LogIndex = Brand<number, 'LogIndex'>
/** Number of a member, 1..65535, given once and never to another node. Names and addresses are the configuration's business. */
export type NodeId = Brand<number, 'NodeId'>
/** Durability epoch of one node's writes: counts its changes of hard state and unsynced log. Means nothing to any other node. */
export type Epoch = Brand<number, 'Epoch'>
/**
 * One replication run between a leader and a peer; greater than every earlier one of the same pair in the same term.
 * Holds the peer's incarnation as the leader knew it (raft/core/session.ts), so it may be any safe integer.
 */
export type Session = Brand<number, 'Session'>

export function term(n: number): Term {
  assert(Number.isSafeInteger(n) && n >= 0, 'term', n)
  return n as Term
}

export function logIndex(n: number): LogIndex {
  assert(Number.isSafeInteger(n) && n >= 0, 'log-index', n)
  return n as LogIndex
}

export function nodeId(n: number): NodeId {
  assert(Number.isInteger(n) && n >= 1 && n <= 65_535, 'node-id', n)
  return n as NodeId
}

/** Where an entry is and in which term it was made: index and term never travel as a loose pair. */
export interface EntryId {
  readonly term: Term
  readonly index: LogIndex
}

/** The place before the first entry. */
export const originId: EntryId = { term: 0 as Term, index: 0 as LogIndex }

/** Negative, zero or positive as log `a` ends before, level with or after log `b` (Raft §5.4.1: term first, then index). */
export function compareLogEnds(a: EntryId, b: EntryId): number {
  return a.term === b.term ? a.index - b.index : a.term - b.term
}

export function sameEntry(a: EntryId, b: EntryId): boolean {
  return a.term === b.term && a.index === b.index
}
