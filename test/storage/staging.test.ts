/** What is gathered of a snapshot, and what of it the next attempt believes: never more than is on the disk, never what belongs to another file. */
import { expect, test } from 'vitest'
import { mustExist } from '../../src/platform/assert.ts'
import type { Disk } from '../../src/platform/disk.ts'
import type { SnapshotFile, SnapshotManifest } from '../../src/storage/snapshot/manifest.ts'
import { Staging } from '../../src/storage/snapshot/staging.ts'
import { encodeRows, readRows } from '../../src/storage/snapshot/state-file.ts'
import { readWhole } from '../../src/storage/snapshot/take-snapshot.ts'
import { rigDirectory, StorageRig } from './rig.ts'

const state: SnapshotFile = { kind: 'state', name: 'state', bytes: 0, tag: 'none' }
const firstName = '00000000000000000001.log'
const secondName = '00000000000000000050.log'

function aManifest(...log: readonly Omit<SnapshotFile, 'kind'>[]): SnapshotManifest {
  const files = [state, ...log.map(file => ({ kind: 'log' as const, ...file }))]
  const digest = { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } }
  return { format: 1, term: 3, index: 90, lastWallMs: 5, digest, membership: '', files }
}

function aDisk(rig: StorageRig): Disk {
  return rig.openOptions().disk
}

/** Gathers so many pieces of a thousand bytes, synced every two thousand. */
function gather(rig: StorageRig, manifest: SnapshotManifest, pieces: number): void {
  const staging = Staging.open(aDisk(rig), rigDirectory, manifest, 2_000)
  for (let i = 0; i < pieces; i++) {
    const want = mustExist(staging.wanted(undefined, 1_000), 'wanted')
    let isDone = false
    staging.add([new Uint8Array(want.bytes).fill(7)], error => {
      if (error !== undefined) throw error
      isDone = true
    })
    rig.scheduler.runUntilTrue(() => isDone, 60_000)
    rig.settle(100)
  }
  staging.close()
}

function bytesHere(rig: StorageRig, manifest: SnapshotManifest): number {
  return Staging.open(aDisk(rig), rigDirectory, manifest, 2_000).bytesHere
}

test('a fetch goes on from the newest record of progress', () => {
  const rig = new StorageRig('newest')
  const manifest = aManifest({ name: firstName, bytes: 20_000, tag: 'a' })
  gather(rig, manifest, 8)
  rig.cutPower()
  expect(bytesHere(rig, manifest)).toBe(8_000)
})

test('a file of the same name that is another one is fetched anew', () => {
  const rig = new StorageRig('tag')
  gather(rig, aManifest({ name: firstName, bytes: 20_000, tag: 'a' }), 8)
  expect(bytesHere(rig, aManifest({ name: firstName, bytes: 20_000, tag: 'b' }))).toBe(0)
})

test('of a file of which the snapshot has less now, no more counts than that', () => {
  const rig = new StorageRig('shorter')
  gather(rig, aManifest({ name: firstName, bytes: 20_000, tag: 'a' }), 8)
  const staging = Staging.open(aDisk(rig), rigDirectory, aManifest({ name: firstName, bytes: 5_000, tag: 'a' }))
  expect(staging.bytesHere).toBe(5_000)
  expect(staging.isWhole).toBe(true)
})

test('what belongs to no file of the snapshot is removed', () => {
  const rig = new StorageRig('leftover')
  gather(rig, aManifest({ name: firstName, bytes: 20_000, tag: 'a' }), 8)
  expect(bytesHere(rig, aManifest({ name: secondName, bytes: 20_000, tag: 'a' }))).toBe(0)
  expect(aDisk(rig).list(`${rigDirectory}/incoming/log`)).toEqual([])
})

test('a power cut while another snapshot is begun leaves no record that claims bytes which are gone', () => {
  const before = aManifest({ name: firstName, bytes: 6_000, tag: 'a' })
  const after = aManifest({ name: secondName, bytes: 6_000, tag: 'a' })
  for (let operation = 1, hasCrashed = true; hasCrashed; operation++) {
    const rig = new StorageRig(`begun/${operation}`)
    gather(rig, before, 4)
    rig.disk.crashAfter(rig.disk.operations + operation)
    hasCrashed = false
    try {
      bytesHere(rig, after)
    } catch (error) {
      if (rig.disk.isInUse) throw error
      hasCrashed = true
    }
    rig.cutPower()
    rig.disk.crashAfter(Infinity)
    const claimed = bytesHere(rig, before)
    const path = `${rigDirectory}/incoming/log/${firstName}`
    const disk = aDisk(rig)
    expect(disk.exists(path) ? readWhole(disk, path).length : 0).toBeGreaterThanOrEqual(claimed)
    if (!hasCrashed) expect(operation).toBeGreaterThan(5)
  }
})

test('rows that end where another block should begin are not all of them', () => {
  const disk = aDisk(new StorageRig('rows'))
  disk.makeDirectory('/rows')
  const file = disk.open('/rows/file', { create: true })
  const bytes = encodeRows([{ key: Uint8Array.of(1), value: Uint8Array.of(2) }])
  file.writeSync(bytes, 0)
  expect(readRows(file, bytes.length)).toHaveLength(1)
  expect(readRows(file, bytes.length + 100)).toBeUndefined()
})
