import { expect, test } from 'vitest'
import { MemoryQueueIndex } from './memory-queue-index.ts'
import { entryKinds, StateMachine } from './machine.ts'
import { encodeCommand } from './command-codec.ts'

const bodyOf = (...ids: number[]) => Buffer.from(JSON.stringify({ format: 1, members: ids.map(id => ({ id, name: `n${id}` })) }))

function configured(machine: StateMachine, index: number, ...ids: number[]): void {
  machine.apply({ index, term: 1, kind: entryKinds.config, wallMs: 1_000 + index, body: bodyOf(...ids) })
}

function proposed(machine: StateMachine, index: number, node: number, incarnation: number, sequence: number): boolean {
  const { parts } = encodeCommand({ node, incarnation, sequence, sentAtMs: 1_000 }, { kind: 'tick' })
  return machine.apply({ index, term: 1, kind: entryKinds.data, wallMs: 1_000 + index, body: Buffer.concat(parts) }) !== undefined
}

test('the newest applied membership is state', () => {
  const machine = new StateMachine({ index: new MemoryQueueIndex() })
  expect(machine.membership).toBeUndefined()
  configured(machine, 1, 1, 2, 3)
  configured(machine, 2, 1, 2, 3, 4)
  expect(machine.membership?.index).toBe(2)
  expect(Buffer.from(machine.membership?.body ?? '').equals(bodyOf(1, 2, 3, 4))).toBe(true)
  expect(machine.digest()).toEqual(machine.recomputeDigest())
})

test('who was removed and comes back with an empty directory is heard, though it counts its restarts anew', () => {
  const machine = new StateMachine({ index: new MemoryQueueIndex() })
  configured(machine, 1, 1, 2, 3)
  expect(proposed(machine, 2, 3, 7, 1)).toBe(true)
  expect(proposed(machine, 3, 3, 1, 1)).toBe(false)
  configured(machine, 4, 1, 2)
  expect(machine.isNodeUp(3)).toBe(false)
  configured(machine, 5, 1, 2, 3)
  expect(proposed(machine, 6, 3, 1, 1)).toBe(true)
  expect(machine.digest()).toEqual(machine.recomputeDigest())
})
