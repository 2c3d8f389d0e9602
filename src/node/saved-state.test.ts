/** What is looked at of a saved state before anything is given up for it. */
import { expect, test } from 'vitest'
import { MemoryCheckpoints, send, withTopic } from '../state/testing/replica.ts'
import type { LoadedCheckpoint } from '../state/store.ts'
import { checkpointAfter, problemOfState } from './saved-state.ts'

/** With messages delivered, waiting, and known by their ids. */
function aState(): LoadedCheckpoint {
  const replica = withTopic()
  replica.run(send('orders', [1, 2, 3, 4]))
  replica.take('readers', 'orders')
  replica.run(send('orders', [5, 6]))
  const checkpoints = new MemoryCheckpoints()
  checkpoints.save(replica.machine.takeCheckpoint())
  return checkpoints.load()
}

test('rows that give the digest which they were saved with are the state, with whatever it holds', () => {
  expect(problemOfState(aState())).toBeUndefined()
})

test('rows of which any one has another bit, or is missing, are not', () => {
  const state = aState()
  expect(state.rows.length).toBeGreaterThan(5)
  for (let i = 0; i < state.rows.length; i++) {
    const rows = state.rows.map(({ key, value }) => ({ key, value: value.slice() }))
    const value = rows[i]?.value ?? new Uint8Array(0)
    const at = value.length - 4
    value[at] = (value[at] ?? 0) ^ 1
    expect(problemOfState({ ...state, rows }), `row ${i}`).toMatch(/^checkpoint 1: /)
    expect(problemOfState({ ...state, rows: state.rows.filter((_, j) => j !== i) }), `row ${i}`).toMatch(/^checkpoint 1: /)
  }
})

test('a node starts from what was installed, else from what its store has, and knows of a snapshot that could not be installed', () => {
  const store = { save: () => undefined, rows: () => ({ next: () => undefined, close: () => undefined }) }
  const loaded = aState()
  const checkpoint = { ...aState(), number: 7 }
  expect(checkpointAfter({ store, loaded }, undefined)).toEqual({ store, loaded, wasSnapshotRefused: false })
  expect(checkpointAfter({ store, loaded }, { checkpoint, note: '' })).toEqual({ store, loaded: checkpoint, wasSnapshotRefused: false })
  expect(checkpointAfter({ store, loaded }, { checkpoint: undefined, note: '' })).toEqual({ store, loaded, wasSnapshotRefused: true })
})
