/**
 * The disk fills up after any operation of the script: what was reported durable stays, what can't be written is told, and when there is room again the
 * log goes on. What only helps (zeros ahead, sidecars) stops nobody.
 */
import { describe, expect, it } from 'vitest'
import type { Term } from '../../raft/index.ts'
import type { DiskFault } from '../../chaos/sim/disk.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { SnapshotManifest } from '../../src/storage/snapshot/manifest.ts'
import type { StateRow } from '../../src/storage/snapshot/state-file.ts'
import { takeSnapshot, type RowReader } from '../../src/storage/snapshot/take-snapshot.ts'
import { isNoRoom } from '../../src/storage/storage-error.ts'
import { encodeOpenHeader } from '../../src/storage/open-chunk.ts'
import { append, rigDirectory, StorageRig } from './rig.ts'
import { aGiverOf, digest } from './giver-rig.ts'
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

describe('a snapshot for others', () => {
  const row: StateRow = { key: new Uint8Array(8).fill(1), value: new Uint8Array(60_000).fill(2) }
  const snapshots = `${rigDirectory}/snapshots`
  const chunkBytes = encodeOpenHeader(1, 0)

  function tenRows(rig: StorageRig): RowReader {
    let left = 10
    return { next: done => void rig.scheduler.schedule(1, () => done(undefined, --left < 0 ? undefined : [row])), close: () => undefined }
  }

  function anAttempt(index: number): SnapshotManifest {
    const files = [{ kind: 'state' as const, name: 'state', bytes: 0, tag: `${index}` }]
    return { format: 1, term: 1, index, lastWallMs: 5, digest, membership: '', files }
  }

  /** What the snapshot at this entry fails with. */
  function failureAt(rig: StorageRig, disk: ReturnType<StorageRig['openOptions']>['disk'], index: number, copies: string[] = []): Error {
    let failed: Error | undefined
    const parts = {
      manifest: anAttempt(index),
      rows: tenRows(rig),
      copies: copies.map(name => ({ path: `${rigDirectory}/${name}`, name, bytes: chunkBytes.length })),
    }
    takeSnapshot(disk, snapshots, parts, error => (failed = error))
    rig.scheduler.runUntilTrue(() => failed !== undefined, 60_000)
    return mustExist(failed, 'failed')
  }

  const used = (rig: StorageRig): number => rig.disk.files().reduce((sum, path) => sum + (rig.disk.contentOf(path)?.length ?? 0), 0)

  it('that finds no room gives back what it took: the disk is not left full to its last byte', () => {
    const rig = new StorageRig('no room')
    const { disk } = rig.openOptions()
    disk.makeDirectory(rigDirectory)
    rig.disk.capacityBytes = used(rig) + 200_000
    for (const index of [10, 20, 30]) expect(failureAt(rig, disk, index).message).toMatch(/ENOSPC/)
    expect(rig.disk.files().filter(path => path.startsWith(snapshots))).toEqual([])
  })

  it.each<[DiskFault['operation'], string]>([
    ['write', '/state'],
    ['sync', '/state'],
    ['open', '/10/chunk.open'],
    ['write', '/10/chunk.open'],
    ['sync', '/10/chunk.open'],
    ['open', '/manifest.tmp'],
    ['write', '/manifest.tmp'],
    ['sync', '/manifest.tmp'],
    ['rename', '/manifest.tmp'],
    ['syncDirectory', '/10'],
  ])('that finds no room in a %s of …%s leaves nothing of itself', (operation, pathPart) => {
    const rig = new StorageRig(`no room/${operation}${pathPart}`)
    const { disk } = rig.openOptions()
    disk.makeDirectory(rigDirectory)
    const chunk = disk.open(`${rigDirectory}/chunk.open`, { create: true })
    chunk.writeSync(chunkBytes, 0)
    chunk.close()
    rig.disk.failNext({ operation, pathPart, code: 'ENOSPC' })
    expect(isNoRoom(failureAt(rig, disk, 10, ['chunk.open']))).toBe(true)
    expect(rig.disk.files().filter(path => path.startsWith(snapshots))).toEqual([])
  })

  it('that can not give its room back says so: the disk is broken; and one that is broken is left as it is', () => {
    const rig = new StorageRig('not removed')
    const { disk } = rig.openOptions()
    disk.makeDirectory(rigDirectory)
    rig.disk.failNext({ operation: 'write', pathPart: '/state', code: 'ENOSPC' })
    rig.disk.failNext({ operation: 'remove', pathPart: '/state', code: 'EIO' })
    expect(failureAt(rig, disk, 10).message).toMatch(/EIO: remove/)
    rig.disk.failNext({ operation: 'write', pathPart: '/state', code: 'EIO' })
    expect(failureAt(rig, disk, 20).message).toMatch(/EIO: write/)
    expect(rig.disk.files()).toContain(`${snapshots}/20/state`)
  })

  function aGiver(seed: string, roomKeptBytes?: number) {
    const rig = new StorageRig(seed)
    const giver = aGiverOf(rig, () => tenRows(rig), { roomKeptBytes })
    return { rig, ...giver }
  }

  it('that finds no room is not tried again at once, is told once, and is taken when there is room', () => {
    const { rig, source, notes } = aGiver('pause')
    rig.disk.leaveRoom(200_000)
    const before = rig.disk.operations
    let attempts = 0
    for (let i = 0; i < 100; i++) {
      const at = rig.disk.operations
      expect(source.present()).toBeUndefined()
      rig.settle(200)
      if (rig.disk.operations > at) attempts++
    }
    expect(rig.disk.operations).toBeGreaterThan(before)
    expect(attempts).toBe(2)
    expect(notes).toEqual([expect.stringMatching(/snapshot at entry 90 could not be taken: ENOSPC.*make room on this disk/)])
    rig.disk.capacityBytes = Infinity
    rig.settle(10_000)
    source.present()
    rig.settle()
    expect(source.present()?.manifest.index).toBe(90)
  })

  it('stays for a while when its removal finds no room, and goes with the next one', () => {
    let at = 90
    const rig = new StorageRig('removal')
    const { source, notes } = aGiverOf(rig, () => tenRows(rig), {
      appliedIndex: () => 99,
      checkpointer: { whenSaved: found => found({ appliedIndex: at, digest }) },
    })
    const taken: (number | undefined)[] = []
    for (at of [90, 93, 96]) {
      if (at === 93) rig.disk.failNext({ operation: 'remove', pathPart: 'snapshots/90', code: 'ENOSPC' })
      source.present(at)
      rig.settle()
      taken.push(source.present(at)?.manifest.index)
    }
    expect(taken).toEqual([90, 93, 96])
    expect(notes.filter(note => note.includes('could not be removed: ENOSPC'))).toHaveLength(1)
    expect(rig.disk.files().filter(path => path.startsWith(snapshots) && !path.includes('/96/'))).toEqual([])
  })

  it('takes nothing of the room that is kept for the node itself', () => {
    const { rig, source, notes } = aGiver('kept', 150_000)
    rig.disk.leaveRoom(400_000)
    let leastFree = Infinity
    source.present()
    while (notes.length === 0) {
      rig.scheduler.runFor(1)
      leastFree = Math.min(leastFree, rig.disk.capacityBytes - used(rig))
    }
    expect(leastFree).toBeGreaterThan(150_000 - 2 * row.value.length)
    expect(notes[0]).toMatch(/150000 of them are this node's own; what there was of it is removed/)
  })
})
