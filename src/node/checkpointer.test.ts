import { expect, test } from 'vitest'
import type { CheckpointBatch } from '../state/store.ts'
import { Checkpointer, type SavedCheckpoint } from './checkpointer.ts'

const digest = { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } }

function aCheckpointer(
  savedIndex: number,
  retained: { readonly logFirst: () => number; readonly mayDelete: (belowIndex: number) => void } = notAsked,
): {
  checkpointer: Checkpointer
  machine: { appliedIndex: number }
  saves: ((error: undefined) => void)[]
} {
  const saves: ((error: undefined) => void)[] = []
  const machine = {
    appliedIndex: savedIndex,
    unsavedRows: 100,
    digest: () => digest,
    takeCheckpoint: (): CheckpointBatch => ({ number: 1, appliedIndex: machine.appliedIndex, digest, puts: [], deletes: [] }),
  }
  const checkpointer = new Checkpointer({
    ...notAsked,
    ...retained,
    machine,
    savedIndex,
    index: { persist: (_progress, done) => done(undefined) },
    store: { save: (_batch, done) => void saves.push(done), rows: () => ({ next: () => undefined, close: () => undefined }) },
    rowsMax: 10,
  })
  return { checkpointer, machine, saves }
}

const notAsked = {
  clock: { nowMs: () => 0, wallMs: () => 0, setTimer: () => ({ cancel: () => undefined }), soon: (callback: () => void) => callback() },
  logBytesApplied: () => 0,
  logFirst: () => 1,
  mayDelete: () => undefined,
  fatal: (error: Error) => {
    throw error
  },
}

test('tells at once of the checkpoint that the node began with', () => {
  const told: SavedCheckpoint[] = []
  aCheckpointer(40).checkpointer.whenSaved(saved => told.push(saved))
  expect(told).toEqual([{ appliedIndex: 40, digest }])
})

test('while one is being saved tells when it is, and of that one', () => {
  const { checkpointer, machine, saves } = aCheckpointer(40)
  machine.appliedIndex = 50
  checkpointer.onApplied()
  const told: SavedCheckpoint[] = []
  checkpointer.whenSaved(saved => told.push(saved))
  expect(told).toEqual([])
  saves[0]?.(undefined)
  expect(told).toEqual([{ appliedIndex: 50, digest }])
})

test('without any checkpoint waits for the first', () => {
  const { checkpointer, machine, saves } = aCheckpointer(0)
  const told: SavedCheckpoint[] = []
  checkpointer.whenSaved(saved => told.push(saved))
  machine.appliedIndex = 3
  checkpointer.onApplied()
  saves[0]?.(undefined)
  expect(told).toEqual([{ appliedIndex: 3, digest }])
})

test('lets go of nothing that a checkpoint before the one just saved still needed, whatever is needed by now', () => {
  let logFirst = 10
  const deleted: number[] = []
  const { checkpointer, machine, saves } = aCheckpointer(40, { logFirst: () => logFirst, mayDelete: below => deleted.push(below) })
  for (const [n, needed] of [20, 30].entries()) {
    machine.appliedIndex += 10
    logFirst = needed
    checkpointer.onApplied()
    logFirst = needed + 5
    saves[n]?.(undefined)
  }
  expect(deleted).toEqual([10, 20])
})

test('that fails while it is asked to stop says so, and the stop ends (seed 31000564)', () => {
  const failures: Error[] = []
  const persisted: ((error: Error | undefined) => void)[] = []
  const machine = {
    appliedIndex: 5,
    unsavedRows: 100,
    digest: () => digest,
    takeCheckpoint: (): CheckpointBatch => ({ number: 1, appliedIndex: 5, digest, puts: [], deletes: [] }),
  }
  const checkpointer = new Checkpointer({
    ...notAsked,
    machine,
    savedIndex: 0,
    index: { persist: (_progress, done) => void persisted.push(done) },
    store: { save: (_batch, done) => done(undefined), rows: () => ({ next: () => undefined, close: () => undefined }) },
    rowsMax: 10,
    fatal: error => failures.push(error),
  })
  checkpointer.onApplied()
  const ends: string[] = []
  checkpointer.stop(() => ends.push('stopped'))
  expect(ends).toEqual([])
  persisted[0]?.(new Error('EIO'))
  expect([ends, failures.map(({ message }) => message), persisted.length]).toEqual([['stopped'], ['EIO'], 1])
})

test('that finds no room tells it once, deletes nothing of the log, and saves nothing after it', () => {
  const noRoom = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  const failures: Error[] = []
  const deleted: number[] = []
  let saves = 0
  const machine = {
    appliedIndex: 5,
    unsavedRows: 100,
    digest: () => digest,
    takeCheckpoint: (): CheckpointBatch => ({ number: 1, appliedIndex: machine.appliedIndex, digest, puts: [], deletes: [] }),
  }
  const checkpointer = new Checkpointer({
    ...notAsked,
    machine,
    savedIndex: 5,
    index: { persist: (_progress, done) => done(undefined) },
    store: {
      save: (_batch, done) => {
        saves++
        done(noRoom)
      },
      rows: () => ({ next: () => undefined, close: () => undefined }),
    },
    rowsMax: 10,
    mayDelete: below => deleted.push(below),
    fatal: error => failures.push(error),
  })
  for (const index of [6, 7, 8]) {
    machine.appliedIndex = index
    checkpointer.onApplied()
  }
  expect({ failures, deleted, saves, savedIndex: checkpointer.savedIndex }).toEqual({
    failures: [noRoom],
    deleted: [],
    saves: 1,
    savedIndex: 5,
  })
})
