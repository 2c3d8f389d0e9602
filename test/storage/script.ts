/**
 * A scripted life of a log, and what it may look like after any end of it: for tests that cut the power, fill the disk or fail it after every operation.
 */
import { expect } from 'vitest'
import type { LogIndex, Term } from '../../raft/index.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { append, bodyOf } from './rig.ts'
import type { StorageRig } from './rig.ts'

interface Entry {
  readonly term: number
  readonly body: Uint8Array
}

/** What a correct log may hold after a crash. */
export class Expected {
  /** In memory now. Place 0 is unused. */
  readonly log: (Entry | undefined)[] = [undefined]
  /** Reported durable and not truncated since: must be there. */
  durable = 0
  /** Contents of every log that was ever flushed or being flushed: term and body by index. */
  readonly seen = new Map<string, Uint8Array>()
  released: { term: number; votedFor: number | undefined } = { term: 0, votedFor: undefined }
  /** Asked for, perhaps on disk. */
  readonly states = new Set<string>(['0/undefined'])
}

type Step = (opened: OpenedLog, expected: Expected, rig: StorageRig) => void

const appendStep =
  (term: number, count: number, bytes: number): Step =>
  (opened, expected) => {
    for (let i = 0; i < count; i++) {
      const index = expected.log.length
      const entry = { term, body: bodyOf(term, index, bytes) }
      append(opened, term, 1, bytes)
      expected.log.push(entry)
      expected.seen.set(`${index}/${term}`, entry.body)
    }
  }

const flushStep: Step = (opened, expected, rig) => {
  const last = expected.log.length - 1
  rig.flush(opened)
  expected.durable = last
  opened.log.noteDurable(last as LogIndex)
}

const truncateStep =
  (index: number): Step =>
  (opened, expected) => {
    opened.log.truncateFrom(index as LogIndex)
    expected.log.length = index
    expected.durable = Math.min(expected.durable, index - 1)
  }

const saveStep =
  (term: number, votedFor: number | undefined): Step =>
  (opened, expected, rig) => {
    const state = { term: term as Term, votedFor }
    expected.states.add(`${term}/${votedFor}`)
    let isReleased = false
    opened.hardState.save(state, error => {
      if (error !== undefined) throw error
      expected.released = state
      isReleased = true
    })
    rig.scheduler.runUntilTrue(() => isReleased, 10_000)
  }

const waitStep =
  (durationMs: number): Step =>
  (_opened, _expected, rig) =>
    rig.settle(durationMs)

/** Truncates while the flush of what is truncated is under way, then flushes the rewrite. */
const truncateDuringFlushStep =
  (index: number, term: number, count: number): Step =>
  (opened, expected, rig) => {
    let flushed: { error: Error | undefined } | undefined
    opened.log.flush(error => (flushed = { error }))
    truncateStep(index)(opened, expected, rig)
    appendStep(term, count, 300)(opened, expected, rig)
    rig.scheduler.runUntilTrue(() => flushed !== undefined, 60_000)
    if (flushed?.error !== undefined) throw flushed.error
    flushStep(opened, expected, rig)
  }

const script: readonly Step[] = [
  saveStep(1, 1),
  appendStep(1, 3, 100),
  flushStep,
  appendStep(1, 40, 700), // rolls
  flushStep,
  waitStep(1_500),
  saveStep(2, undefined),
  truncateStep(30), // into an earlier segment, below the mark
  appendStep(2, 5, 90),
  flushStep,
  appendStep(2, 60, 333),
  flushStep,
  truncateStep(70),
  truncateStep(60),
  flushStep,
  saveStep(3, 2),
  appendStep(3, 20, 400),
  truncateDuringFlushStep(75, 4, 4),
  saveStep(4, undefined),
  appendStep(4, 1, 20_000), // larger than a segment
  appendStep(4, 2, 10),
  flushStep,
  waitStep(1_500),
  truncateStep(2),
  flushStep,
  appendStep(5, 30, 1_000),
  flushStep,
]

export function runScript(rig: StorageRig, expected: Expected): void {
  const opened = rig.open()
  for (const step of script) step(opened, expected, rig)
}

/** Opens again and compares; then appends and opens once more. */
export function checkAfterEnd(rig: StorageRig, expected: Expected): void {
  const opened = rig.open()
  const { log, recovered } = opened
  expect(log.lastId.index).toBeGreaterThanOrEqual(expected.durable)
  for (let index = 1; index <= log.lastId.index; index++) {
    const entry = log.entry(index as LogIndex)
    const known = index <= expected.durable ? expected.log[index]?.body : expected.seen.get(`${index}/${entry.term}`)
    if (known === undefined || !Buffer.from(entry.body).equals(known))
      throw new Error(`entry ${index} of term ${entry.term} is not what was appended`)
    if (index <= expected.durable) expect(entry.term).toBe(expected.log[index]?.term)
  }
  const { term, votedFor } = recovered.hardState
  expect(term).toBeGreaterThanOrEqual(expected.released.term)
  if (term === expected.released.term && term > log.lastId.term - 1 && expected.states.has(`${term}/${votedFor}`)) {
    expect(votedFor).toBe(expected.released.votedFor ?? votedFor)
  }
  const next = Math.max(9, log.lastId.term)
  const before = log.lastId.index
  append(opened, next, 3, 250)
  rig.flush(opened)
  rig.kill()
  const again = rig.open()
  expect(again.log.lastId).toEqual({ term: next, index: before + 3 })
  expect(again.recovered.incarnation).toBe(recovered.incarnation + 1)
}
