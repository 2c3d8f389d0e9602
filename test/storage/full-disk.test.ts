/**
 * The disk fills up after any operation of the script: what was reported durable stays, what can't be written is told, and when there is room again the
 * log goes on. What only helps (zeros ahead, sidecars) stops nobody.
 */
import { describe, expect, it } from 'vitest'
import type { Term } from '../../raft/index.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import { append, StorageRig } from './rig.ts'
import { checkAfterEnd, Expected, runScript } from './script.ts'

function operationsOfScript(): number {
  const rig = new StorageRig('count')
  runScript(rig, new Expected())
  return rig.disk.operations
}

describe('a disk that is full after any operation', () => {
  const total = operationsOfScript()

  it.each([
    ['the process is killed', (rig: StorageRig) => rig.kill()],
    ['the power goes too', (rig: StorageRig) => rig.cutPower()],
  ])('loses nothing that was reported durable; with room again the log goes on (%s)', (_name, end) => {
    let refused = 0
    for (let operation = 1; operation <= total; operation++) {
      const rig = new StorageRig(`full/${operation}`)
      const expected = new Expected()
      rig.disk.fullAfter(operation)
      try {
        runScript(rig, expected)
      } catch (error) {
        if (!/ENOSPC/.test((error as Error).message)) throw error
        refused++
      }
      end(rig)
      rig.disk.fullAfter(Infinity)
      rig.disk.capacityBytes = Infinity
      try {
        checkAfterEnd(rig, expected)
      } catch (error) {
        throw new Error(`full after operation ${operation} of ${total}: ${(error as Error).message}`, { cause: error })
      }
    }
    expect(refused).toBeGreaterThan(total / 2)
  })

  it('still starts: a restart on a full disk overwrites, and needs no room', () => {
    const rig = new StorageRig('restart')
    const opened = rig.open()
    append(opened, 1, 50, 300)
    rig.flush(opened)
    rig.settle()
    rig.kill()
    rig.disk.fullAfter(1)
    rig.disk.capacityBytes = 1
    expect(rig.open().log.lastId.index).toBe(50)
  })
})

describe('zeros written ahead', () => {
  const limits = logLimits(256 * 1024)

  it('that find no room stop nobody: records go where zeros stand already, terms and votes over what was there', () => {
    const rig = new StorageRig('reserve', limits)
    const opened = rig.open()
    append(opened, 1, 1, 400)
    rig.flush(opened)
    rig.settle()
    rig.disk.capacityBytes = 1
    let records = 1
    while (records < 5) {
      append(opened, 1, 1, 400)
      rig.flush(opened)
      rig.settle(100)
      records++
    }
    let isSaved = false
    opened.hardState.save({ term: 2 as Term, votedFor: 1 }, error => (isSaved = error === undefined))
    rig.settle()
    expect(isSaved).toBe(true)
    append(opened, 2, 50, 400)
    expect(() => rig.flush(opened)).toThrow(/ENOSPC.*make room on its disk and start it again/)
    rig.kill()
    rig.disk.capacityBytes = Infinity
    expect(rig.open().log.lastId.index).toBeGreaterThanOrEqual(records)
  })

  it('are written again when there is room again', () => {
    const rig = new StorageRig('again', limits)
    const opened = rig.open()
    append(opened, 1, 1, 400)
    rig.flush(opened)
    rig.settle()
    const segment = rig.disk.files().find(path => path.endsWith('.log')) ?? ''
    const size = (): number => rig.disk.contentOf(segment)?.length ?? 0
    const filled = size()
    rig.disk.capacityBytes = 1
    append(opened, 1, 5, 400)
    rig.flush(opened)
    rig.settle()
    expect(size()).toBe(filled)
    rig.disk.capacityBytes = Infinity
    for (let i = 0; i < 6; i++) {
      append(opened, 1, 1, 400)
      rig.flush(opened)
      rig.settle(100)
    }
    expect(size()).toBeGreaterThan(filled)
  })

  it('that fail for any other reason end the node: the disk is not to be trusted', () => {
    const rig = new StorageRig('broken', limits)
    const opened = rig.open()
    const told: Error[] = []
    opened.log.whenPoisoned(error => told.push(error))
    append(opened, 1, 1, 400)
    rig.flush(opened)
    rig.disk.failNext({ operation: 'write', pathPart: '.log', code: 'EIO' })
    rig.settle()
    expect(told.map(({ message }) => message)).toEqual([expect.stringMatching(/EIO.*goes silent and stops/)])
  })
})

describe('sidecars', () => {
  it('that find no room are done without', () => {
    const rig = new StorageRig('sidecar')
    const opened = rig.open()
    const told: Error[] = []
    opened.log.whenPoisoned(error => told.push(error))
    append(opened, 1, 30, 400)
    rig.flush(opened)
    rig.disk.failNext({ operation: 'write', pathPart: '.idx', code: 'ENOSPC' })
    append(opened, 1, 30, 400)
    rig.flush(opened)
    rig.settle()
    append(opened, 1, 30, 400)
    rig.flush(opened)
    rig.settle()
    expect(told).toEqual([])
    expect(rig.disk.files().filter(path => path.endsWith('.tmp') && path.includes('.idx'))).toEqual([])
    rig.kill()
    expect(rig.open().log.lastId.index).toBe(90)
  })
})
