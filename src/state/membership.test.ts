import { expect, test } from 'vitest'
import { MemoryQueueIndex } from './memory-queue-index.ts'
import { entryKinds, StateMachine } from './machine.ts'
import { encodeCommand } from './command-codec.ts'

const bodyOf = (...ids: number[]) => Buffer.from(JSON.stringify({ format: 1, members: ids.map(id => ({ id, name: `n${id}` })), idMax: 4 }))

function configured(machine: StateMachine, index: number, ...ids: number[]): void {
  machine.apply({ index, term: 1, kind: entryKinds.config, wallMs: 1_000 + index, body: bodyOf(...ids) })
}

/** `sentAtMs`: by default in the moment of its entry. */
function proposed(
  machine: StateMachine,
  index: number,
  node: number,
  incarnation: number,
  sequence: number,
  sentAtMs = 1_000 + index,
): string {
  const { parts } = encodeCommand({ node, incarnation, sequence, sentAtMs }, { kind: 'tick' })
  const applied = machine.apply({ index, term: 1, kind: entryKinds.data, wallMs: 1_000 + index, body: Buffer.concat(parts) })
  if (applied === undefined) return 'copy'
  return applied.result.kind === 'refused' ? applied.result.reason : applied.result.kind
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
  expect(proposed(machine, 2, 3, 7, 1)).toBe('done')
  expect(proposed(machine, 3, 3, 1, 1)).toBe('copy')
  configured(machine, 4, 1, 2)
  expect(machine.isNodeUp(3)).toBe(false)
  configured(machine, 5, 1, 2, 3)
  expect(proposed(machine, 6, 3, 1, 1)).toBe('done')
  expect(machine.digest()).toEqual(machine.recomputeDigest())
})

test('who is taken in anew while it is still told of its removal is heard, with a clock that was put back when it made its directory (seed 9200044)', () => {
  const machine = new StateMachine({ index: new MemoryQueueIndex() })
  const members = [1, 2, 3].map(id => ({ id, name: `n${id}` }))
  const told = (index: number, leaving: readonly number[]): void => {
    const body = Buffer.from(JSON.stringify({ format: 1, members, leaving, idMax: 3 }))
    machine.apply({ index, term: 1, kind: entryKinds.config, wallMs: 1_000 + index, body })
  }
  told(1, [])
  expect(proposed(machine, 2, 3, 31_536_000, 5)).toBe('done')
  told(3, [3])
  expect(proposed(machine, 4, 3, 31_536_000, 6)).toBe('done')
  told(5, [])
  expect(machine.isNodeUp(3)).toBe(false)
  expect(proposed(machine, 6, 3, 31_536_000, 6, 1_004)).toBe('copy')
  expect(proposed(machine, 7, 3, 3, 1)).toBe('done')
  told(8, [])
  expect(proposed(machine, 9, 3, 3, 2)).toBe('done')
  expect(machine.digest()).toEqual(machine.recomputeDigest())
})

test('a copy of what a removed node proposed is not taken for something new, neither after its removal nor when the number is back (seed 7350015)', () => {
  const machine = new StateMachine({ index: new MemoryQueueIndex() })
  configured(machine, 1, 1, 2, 3)
  expect(proposed(machine, 2, 3, 7, 54)).toBe('done')
  configured(machine, 3, 1, 2)
  expect(proposed(machine, 4, 3, 7, 54)).toBe('copy')
  expect(proposed(machine, 5, 3, 7, 55)).toBe('notMember')
  configured(machine, 6, 1, 2, 3)
  expect(proposed(machine, 7, 3, 7, 54, 1_002)).toBe('copy')
  expect(proposed(machine, 8, 3, 1, 1)).toBe('done')
  expect(proposed(machine, 9, 3, 7, 55, 1_005)).toBe('notMember')
  expect(proposed(machine, 10, 3, 1, 2)).toBe('done')
  expect(machine.digest()).toEqual(machine.recomputeDigest())
})

test('what was taken of a node before its removal is not taken again when it is back, however far its clock is ahead (seed 31001124)', () => {
  const aheadMs = 900_000
  const machine = new StateMachine({ index: new MemoryQueueIndex() })
  configured(machine, 1, 1, 2, 3)
  expect(proposed(machine, 2, 3, 7, 54, aheadMs)).toBe('done')
  configured(machine, 3, 1, 2)
  const { puts, ...rest } = machine.takeCheckpoint()
  const again = new StateMachine({ index: new MemoryQueueIndex() })
  expect(again.restore({ ...rest, rows: puts })).toBeUndefined()
  for (const one of [machine, again]) {
    configured(one, 4, 1, 2, 3)
    expect(proposed(one, 5, 3, 7, 54, aheadMs)).toBe('copy')
    expect(proposed(one, 6, 3, 7, 55, aheadMs)).toBe('done')
    expect(proposed(one, 7, 3, 6, 1, aheadMs)).toBe('copy')
    expect(one.digest()).toEqual(one.recomputeDigest())
  }
})

test('what was refused of a node while it was no member is not taken when it is back, however far its clock is ahead (seed 40004998)', () => {
  const aheadMs = 900_000
  const machine = new StateMachine({ index: new MemoryQueueIndex() })
  configured(machine, 1, 1, 2, 3, 4)
  expect(proposed(machine, 2, 3, 7, 85)).toBe('done')
  configured(machine, 3, 1, 2)
  expect(proposed(machine, 4, 3, 7, 86, aheadMs)).toBe('notMember')
  // Another life of it, and one that was never heard as a member.
  expect(proposed(machine, 5, 3, 8, 1, aheadMs)).toBe('notMember')
  expect(proposed(machine, 6, 4, 2, 1, aheadMs)).toBe('notMember')
  const { puts, ...rest } = machine.takeCheckpoint()
  const again = new StateMachine({ index: new MemoryQueueIndex() })
  expect(again.restore({ ...rest, rows: puts })).toBeUndefined()
  for (const one of [machine, again]) {
    expect(proposed(one, 7, 3, 8, 1, aheadMs)).toBe('copy')
    configured(one, 8, 1, 2, 3, 4)
    expect(proposed(one, 9, 3, 8, 1, aheadMs)).toBe('copy')
    expect(proposed(one, 10, 4, 2, 1, aheadMs)).toBe('copy')
    expect(proposed(one, 11, 3, 8, 2, aheadMs)).toBe('done')
    // From an empty directory.
    expect(proposed(one, 12, 4, 1, 1, aheadMs)).toBe('done')
    expect(one.digest()).toEqual(one.recomputeDigest())
  }
})

test('what comes late of a former life does not end the session of who has its number now', () => {
  const machine = new StateMachine({ index: new MemoryQueueIndex() })
  configured(machine, 1, 1, 2, 3)
  expect(proposed(machine, 2, 3, 7, 85)).toBe('done')
  configured(machine, 3, 1, 2)
  configured(machine, 4, 1, 2, 3)
  expect(proposed(machine, 5, 3, 1, 1)).toBe('done')
  expect(proposed(machine, 6, 3, 7, 86, 1_000)).toBe('notMember')
  expect(proposed(machine, 7, 3, 1, 2)).toBe('done')
  expect(proposed(machine, 8, 3, 1, 3, 1_000)).toBe('notMember')
  expect(proposed(machine, 9, 3, 1, 3, 1_000)).toBe('copy')
})

test('since when a node is a member survives a checkpoint', () => {
  const machine = new StateMachine({ index: new MemoryQueueIndex() })
  configured(machine, 1, 1, 2)
  configured(machine, 2, 1, 2, 3)
  const { puts, ...rest } = machine.takeCheckpoint()
  const again = new StateMachine({ index: new MemoryQueueIndex() })
  expect(again.restore({ ...rest, rows: puts })).toBeUndefined()
  expect(proposed(again, 3, 3, 1, 1, 1_001)).toBe('notMember')
  expect(proposed(again, 4, 3, 1, 2, 1_002)).toBe('done')
  expect(proposed(again, 5, 4, 1, 1)).toBe('notMember')
})

test('whoever is in no membership yet is heard', () => {
  const machine = new StateMachine({ index: new MemoryQueueIndex() })
  expect(proposed(machine, 1, 9, 1, 1)).toBe('done')
  configured(machine, 2, 1, 2)
  expect(proposed(machine, 3, 9, 1, 2)).toBe('done')
})
