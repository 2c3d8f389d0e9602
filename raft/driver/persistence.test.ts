import { describe, expect, it } from 'vitest'
import { EntryKind } from '../core/entry.ts'
import type { Epoch, LogIndex, Term } from '../core/ids.ts'
import type { Persist } from '../core/output.ts'
import type { Clock } from '../../src/platform/clock.ts'
import type { HardStateStorage, LogStorage } from './log-storage.ts'
import { createMetrics } from './metrics.ts'
import { Persistence } from './persistence.ts'

type Done = (error: Error | undefined) => void

/** Storage whose syncs the test finishes by hand, and a list of what it was asked. */
function harness() {
  const asked: string[] = []
  const failures: string[] = []
  const flushes: Done[] = []
  const saves: Done[] = []
  let lastIndex = 0
  let progressed = 0
  const log: Partial<LogStorage> = {
    get lastId() {
      return { term: 1 as Term, index: lastIndex as LogIndex }
    },
    appendOwn: ({ firstIndex }, bodies) => {
      lastIndex += bodies.length
      asked.push(`append ${firstIndex}`)
    },
    truncateFrom: index => {
      lastIndex = index - 1
      asked.push(`truncate ${index}`)
    },
    flush: done => {
      asked.push('flush')
      flushes.push(done)
    },
    noteDurable: index => void asked.push(`durable ${index}`),
  }
  const hardState: HardStateStorage = {
    save: ({ term }, released) => {
      asked.push(`save ${term}`)
      saves.push(released)
    },
  }
  const metrics = createMetrics()
  const persistence = new Persistence({
    clock: { nowMs: () => 0 } as Clock,
    log: log as LogStorage,
    hardState,
    metrics,
    bodiesOf: () => ({ bodies: [{ parts: [], bytes: 0, crc: 0 }], bytes: 48 }),
    blockOf: () => {
      throw new Error('no slices here')
    },
    progressed: () => progressed++,
    failed: error => failures.push(error.message),
  })
  const append = (epoch: number): void => {
    const persist: Persist = {
      kind: 'appendOwn',
      epoch: epoch as Epoch,
      ticket: 0,
      entryKind: EntryKind.data,
      firstIndex: (lastIndex + 1) as LogIndex,
      count: 1,
      term: 1 as Term,
      wallMs: 0,
      membership: undefined,
    }
    persistence.carryOut(persist)
  }
  const vote = (epoch: number, term: number): void =>
    persistence.carryOut({ kind: 'hardState', epoch: epoch as Epoch, state: { term: term as Term, votedFor: undefined } })
  const finish = (list: Done[], error?: Error): void => list.shift()?.(error)
  return { asked, failures, flushes, saves, persistence, append, vote, finish, metrics, progressed: () => progressed }
}

describe('persistence', () => {
  it('keeps one flush outstanding; what comes meanwhile goes with the next', () => {
    const { persistence, append, finish, flushes, asked, metrics } = harness()
    append(1)
    append(2)
    persistence.start()
    append(3)
    append(4)
    persistence.start()
    expect(asked.filter(what => what === 'flush').length).toBe(1)
    expect(persistence.durableEpoch).toBe(0)
    finish(flushes)
    expect(persistence.durableEpoch).toBe(2)
    persistence.start()
    finish(flushes)
    expect(persistence.durableEpoch).toBe(4)
    persistence.start()
    expect(metrics).toMatchObject({ flushes: 2, entriesFlushed: 4, entriesAppended: 4, bytesAppended: 4 * 48 })
  })

  it('flushes no entry before the term that it was made in is saved, but one that came earlier at once', () => {
    const { persistence, append, vote, finish, flushes, saves, asked } = harness()
    append(1)
    vote(2, 7)
    persistence.start()
    expect(asked).toEqual(['append 1', 'save 7', 'flush'])
    finish(flushes)
    expect(persistence.durableEpoch).toBe(1)
    append(3)
    persistence.start()
    expect(flushes.length).toBe(0)
    finish(saves)
    expect(persistence.durableEpoch).toBe(2)
    persistence.start()
    expect(flushes.length).toBe(1)
    finish(flushes)
    expect(persistence.durableEpoch).toBe(3)
  })

  it('reports an epoch only when all before it are on disk, whichever writer is the later', () => {
    const { persistence, append, vote, finish, flushes, saves } = harness()
    append(1)
    vote(2, 1)
    persistence.start()
    finish(saves)
    expect(persistence.durableEpoch).toBe(0)
    finish(flushes)
    expect(persistence.durableEpoch).toBe(2)
  })

  it('saves the newest of several terms that wait, for it speaks for all of them', () => {
    const { persistence, vote, finish, saves, asked } = harness()
    vote(1, 1)
    persistence.start()
    vote(2, 2)
    vote(3, 3)
    persistence.start()
    expect(asked).toEqual(['save 1'])
    finish(saves)
    expect(persistence.durableEpoch).toBe(1)
    persistence.start()
    expect(asked).toEqual(['save 1', 'save 3'])
    finish(saves)
    expect(persistence.durableEpoch).toBe(3)
  })

  it('tells of the first error once, and then writes and reports nothing any more', () => {
    const { persistence, append, vote, finish, flushes, saves, asked, failures, progressed } = harness()
    append(1)
    vote(2, 1)
    persistence.start()
    finish(flushes, new Error('EIO'))
    finish(saves, new Error('EIO too'))
    append(3)
    persistence.start()
    persistence.noteDurable(1 as LogIndex)
    expect(failures).toEqual(['EIO'])
    expect(progressed()).toBe(0)
    expect(persistence.durableEpoch).toBe(0)
    expect(asked).toEqual(['append 1', 'save 1', 'flush', 'append 2'])
  })
})
