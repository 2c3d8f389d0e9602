/** The first error of the disk ends a node also where nobody waits for the write that met it: it is told at once, once, and nothing is written after it. */
import { describe, expect, it } from 'vitest'
import type { LogIndex, Term } from '../../raft/index.ts'
import { openQueueIndex } from '../../src/storage/queue-index.ts'
import { append, rigDirectory, StorageRig } from './rig.ts'

/** A log with something to do in the background: segments that roll, are prepared, get sidecars, and can be trimmed. */
function atWork(seed: string): { rig: StorageRig; opened: ReturnType<StorageRig['open']>; told: Error[] } {
  const rig = new StorageRig(seed)
  const opened = rig.open()
  const told: Error[] = []
  opened.log.whenPoisoned(error => told.push(error))
  opened.hardState.whenPoisoned(error => told.push(error))
  append(opened, 1, 60, 400)
  rig.flush(opened)
  rig.settle()
  return { rig, opened, told }
}

describe('a sync that fails', () => {
  it('leaves records in the cache that no later sync carries to the disk: the next start writes them once more before it vouches for them', () => {
    const rig = new StorageRig('fsyncgate')
    const opened = rig.open()
    append(opened, 1, 5, 300)
    rig.flush(opened)
    append(opened, 1, 5, 300)
    rig.disk.failNext({ operation: 'sync', pathPart: '.log', code: 'EIO' })
    expect(() => rig.flush(opened)).toThrow(/EIO/)
    rig.kill()
    const vouchedFor = rig.open().log.lastId.index
    expect(vouchedFor).toBe(10)
    rig.cutPower()
    expect(rig.open().log.lastId.index).toBe(vouchedFor)
  })
})

describe('an error in the background is told at once', () => {
  it.each([
    ['zeros ahead of the records', 'write', '.log'],
    ['zeros of the segment that is prepared', 'write', 'prepared.tmp'],
    ['the sync of the segment that is prepared', 'sync', 'prepared.tmp'],
    ['a sidecar', 'write', '.idx.tmp'],
    ['the name of a sidecar', 'rename', '.idx.tmp'],
  ] as const)('%s', (_what, operation, pathPart) => {
    const rig = new StorageRig(`${operation} ${pathPart}`)
    const opened = rig.open()
    const told: Error[] = []
    opened.log.whenPoisoned(error => told.push(error))
    let records = 0
    // Until the next thing to happen is what is to fail: nothing is flushed after that.
    while (told.length === 0 && records < 200) {
      rig.disk.forgiveFaults()
      append(opened, 1, 1, 400)
      rig.flush(opened)
      records++
      rig.disk.failNext({ operation, pathPart, code: 'EIO' })
      rig.settle(50)
    }
    expect(told.map(({ message }) => message)).toEqual([expect.stringMatching(/EIO.*this node goes silent and stops/)])
    const { operations } = rig.disk
    rig.settle(60_000)
    expect(rig.disk.operations).toBe(operations)
    expect(() => {
      append(opened, 1, 1)
      rig.flush(opened)
    }).toThrow(/goes silent/)
  })

  it.each([
    ['write', 'base.tmp'],
    ['rename', 'base.tmp'],
    ['remove', '.log'],
  ] as const)('the deletion of old segments (%s of %s)', (operation, pathPart) => {
    const { rig, opened, told } = atWork(`trim ${operation}`)
    rig.disk.failNext({ operation, pathPart, code: 'EIO' })
    opened.log.trimTo(40 as LogIndex)
    rig.settle()
    expect(told).toHaveLength(1)
  })

  it('the durable mark, which is written now and then with nobody waiting', () => {
    const { rig, opened, told } = atWork('mark')
    rig.disk.failNext({ operation: 'write', pathPart: 'hard-state', code: 'EIO' })
    opened.log.noteDurable(60 as LogIndex)
    rig.settle(5_000)
    expect(told.map(({ message }) => message)).toEqual([expect.stringMatching(/writing term and vote failed \(EIO/)])
    const errors: (Error | undefined)[] = []
    opened.hardState.save({ term: 2 as Term, votedFor: 1 }, error => errors.push(error))
    rig.settle()
    expect(errors).toEqual(told)
  })

  it('a chunk of the queue index that is sealed', () => {
    const rig = new StorageRig('chunk')
    const { disk } = rig.openOptions()
    const directory = `${rigDirectory}/queue-index`
    disk.makeDirectory(directory)
    const opened = openQueueIndex(disk, directory, { appliedIndex: 0, limits: { chunkLogBytes: 1_000 } })
    if (opened.kind !== 'opened') throw new Error(opened.reason)
    const { index } = opened
    const told: Error[] = []
    index.whenFailed(error => told.push(error))
    const slot = { ordinal: 0, tagHash: 0, messageGroup: { high: 0, low: 0 }, storedAtMs: 1, queueKiB: 0 }
    rig.disk.failNext({ operation: 'write', pathPart: 'sealed', code: 'EIO' })
    for (let n = 1; n <= 4 && told.length === 0; n++) {
      index.append(1, 0, n - 1, { ...slot, logIndex: n })
      index.persist({ throughIndex: n, logBytes: 2_000 }, () => undefined)
      rig.settle()
    }
    expect(told.map(({ message }) => message)).toEqual([
      expect.stringMatching(/queue index .* could not be written \(EIO.*goes silent and stops/),
    ])
  })
})
