import { expect, test } from 'vitest'
import type { CheckpointBatch } from '../../src/state/store.ts'
import { CheckpointDisk } from './checkpoint-store.ts'
import { SimRandom } from './random.ts'
import { Scheduler } from './scheduler.ts'

const digest = { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } }
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function batch(number: number, puts: Record<string, string>, deletes: readonly string[] = []): CheckpointBatch {
  const rows = Object.entries(puts).map(([key, value]) => ({ key: bytes(key), value: bytes(value) }))
  return { number, appliedIndex: number * 10, digest, puts: rows, deletes: deletes.map(bytes) }
}

function aDisk(seed = 'seed'): { scheduler: Scheduler; disk: CheckpointDisk } {
  const scheduler = new Scheduler()
  return { scheduler, disk: new CheckpointDisk(scheduler, new SimRandom(seed)) }
}

test('what was saved is there for the next process, in the order of the keys', () => {
  const { scheduler, disk } = aDisk()
  const { store, loaded } = disk.open(scheduler.newProcess('n1'))
  expect(loaded).toBeUndefined()
  const errors: (Error | undefined)[] = []
  store.save(batch(1, { b: '1', a: '2', c: '3' }), error => {
    errors.push(error)
    store.save(batch(2, { d: '4' }, ['c']), second => errors.push(second))
  })
  expect(errors).toEqual([])
  scheduler.runFor(100)
  expect(errors).toEqual([undefined, undefined])
  const again = disk.open(scheduler.newProcess('n1')).loaded
  expect(again?.rows.map(row => new TextDecoder().decode(row.key))).toEqual(['a', 'b', 'd'])
  expect(again).toMatchObject({ number: 2, appliedIndex: 20, digest })
})

test('number 1 replaces all that was there', () => {
  const { scheduler, disk } = aDisk()
  disk.open(scheduler.newProcess('n1')).store.save(batch(1, { a: '1' }), () => undefined)
  scheduler.runFor(100)
  disk.open(scheduler.newProcess('n1')).store.save(batch(1, { b: '1' }), () => undefined)
  scheduler.runFor(100)
  expect(disk.open(scheduler.newProcess('n1')).loaded?.rows).toHaveLength(1)
})

test('over many crashes a save under way is sometimes there and sometimes not, and nobody is told', () => {
  const found = new Set<boolean>()
  for (let seed = 0; seed < 40; seed++) {
    const { scheduler, disk } = aDisk(String(seed))
    const process = scheduler.newProcess('n1')
    const told: (Error | undefined)[] = []
    disk.open(process).store.save(batch(1, { a: '1' }), error => told.push(error))
    scheduler.runFor(3)
    if (told.length > 0) continue
    process.kill()
    disk.losePower()
    scheduler.runFor(100)
    expect(told).toEqual([])
    found.add(disk.open(scheduler.newProcess('n1')).loaded !== undefined)
  }
  expect([...found].sort()).toEqual([false, true])
})

test('it can lose everything, and it can fail', () => {
  const { scheduler, disk } = aDisk()
  const { store } = disk.open(scheduler.newProcess('n1'))
  store.save(batch(1, { a: '1' }), () => undefined)
  scheduler.runFor(100)
  disk.loseEverything()
  expect(disk.open(scheduler.newProcess('n1')).loaded).toBeUndefined()
  disk.fail(new Error('no'))
  let failure: Error | undefined
  store.save(batch(2, {}), error => {
    failure = error
  })
  scheduler.runFor(100)
  expect(failure?.message).toBe('no')
})
