/** For tests of snapshots: a leader to take one of, a follower to install it, and the way between. */
import { expect } from 'vitest'
import type { LogIndex, Term } from '../../raft/index.ts'
import { CheckpointDisk } from '../../chaos/sim/checkpoint-store.ts'
import { mustExist } from '../../src/platform/assert.ts'
import type { Disk } from '../../src/platform/disk.ts'
import type { CheckpointWrite } from '../../src/storage/checkpoint-codec.ts'
import { openLog } from '../../src/storage/open-log.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { installSnapshot } from '../../src/storage/snapshot/install.ts'
import type { Installed } from '../../src/storage/snapshot/install.ts'
import { encodeBaseMembership } from '../../src/storage/snapshot/manifest.ts'
import type { SnapshotManifest } from '../../src/storage/snapshot/manifest.ts'
import { Staging } from '../../src/storage/snapshot/staging.ts'
import type { StateRow } from '../../src/storage/snapshot/state-file.ts'
import { removeOlder, takeSnapshot } from '../../src/storage/snapshot/take-snapshot.ts'
import type { TakenSnapshot } from '../../src/storage/snapshot/take-snapshot.ts'
import { append, rigDirectory, rigIdentity, StorageRig } from './rig.ts'

export const digest = { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } }
export const rows: StateRow[] = Array.from({ length: 20 }, (_, i) => ({ key: Uint8Array.of(7, i), value: new Uint8Array(30).fill(i) }))
export const snapshots = `${rigDirectory}/snapshots`

/** A leader's log of several segments; the snapshot is at entry 90 of 100. */
export function aLeader(seed: string): { rig: StorageRig; opened: OpenedLog; disk: Disk } {
  const rig = new StorageRig(`leader/${seed}`)
  const options = rig.openOptions()
  const opened = openLog({ ...options, limits: rig.limits })
  append(opened, 3, 100, 400)
  rig.flush(opened)
  return { rig, opened, disk: options.disk }
}

export function take({ rig, opened, disk }: ReturnType<typeof aLeader>, index = 90): TakenSnapshot {
  let left = 2
  const reader = {
    next: (done: (error: undefined, some: readonly StateRow[] | undefined) => void) => {
      left--
      rig.scheduler.schedule(1, () => done(undefined, left < 0 ? undefined : rows.slice(left * 10, left * 10 + 10)))
    },
    close: () => undefined,
  }
  const log = opened.log.filesThrough(index).map(({ name, bytes, prevCrc }) => ({ kind: 'log' as const, name, bytes, tag: `${prevCrc}` }))
  const files = [{ kind: 'state' as const, name: 'state', bytes: 0, tag: 'one' }, ...log]
  const manifest = {
    format: 1 as const,
    term: 3,
    index,
    lastWallMs: 5,
    digest,
    membership: encodeBaseMembership(opened.log.baseMembership),
    files,
  }
  let taken: TakenSnapshot | undefined
  takeSnapshot(disk, snapshots, { manifest, rows: reader, copies: [] }, (error, found) => {
    if (error !== undefined) throw error
    removeOlder(disk, snapshots, index, failed => {
      if (failed !== undefined) throw failed
      taken = found
    })
  })
  rig.scheduler.runUntilTrue(() => taken !== undefined, 60_000)
  return mustExist(taken, 'taken')
}

/** The bytes of each file of the snapshot. */
export function contents(rig: StorageRig, { manifest, directory }: TakenSnapshot): Uint8Array[] {
  return manifest.files.map(({ kind, name, bytes }) => {
    const path = kind === 'state' ? `${directory}/state` : `${rigDirectory}/log/${name}`
    return mustExist(rig.disk.contentOf(path), 'file').slice(0, bytes)
  })
}

/** Fetches all that is missing, in pieces, and declares it complete. How many bytes came. */
export function fetchAll(rig: StorageRig, manifest: SnapshotManifest, source: readonly Uint8Array[], piecesMax = Infinity): number {
  const disk = rig.disk.openProcess(mustExist(rig.process, 'process'))
  const staging = Staging.open(disk, rigDirectory, manifest, 3_000)
  let fetched = 0
  for (let pieces = 0; pieces < piecesMax && !staging.isWhole; pieces++) {
    const want = mustExist(staging.wanted(undefined, 1_000), 'wanted')
    let isDone = false
    staging.add([mustExist(source[want.file], 'source').slice(want.position, want.position + want.bytes)], error => {
      if (error !== undefined) throw error
      isDone = true
    })
    rig.scheduler.runUntilTrue(() => isDone, 60_000)
    expect(isDone).toBe(true)
    fetched += want.bytes
  }
  if (staging.isWhole) staging.complete()
  staging.close()
  return fetched
}

export function install(rig: StorageRig, checkpoints: CheckpointDisk, problem?: string): Installed | undefined {
  const { disk, clock } = rig.openOptions()
  const store = checkpoints.open(mustExist(rig.process, 'process')).store
  let end: { installed: Installed | undefined } | undefined
  const save = (batch: CheckpointWrite, done: (error: Error | undefined) => void): void => store.save(batch, done)
  installSnapshot(
    { disk, clock, dataDirectory: rigDirectory, identity: rigIdentity, problemOf: () => problem, store: { save } },
    (error, installed) => {
      if (error !== undefined) throw error
      end = { installed }
    },
  )
  rig.scheduler.runUntilTrue(() => end !== undefined, 60_000)
  return mustExist(end, 'install-end').installed
}

/** A node with 30 entries of its own that are not the group's, in term 2. Of what came then it has heard up to `term`. */
export function aFollower(seed: string, term = 4): { rig: StorageRig; checkpoints: CheckpointDisk } {
  const rig = new StorageRig(`follower/${seed}`)
  const opened = rig.open()
  opened.hardState.save({ term: term as Term, votedFor: 2 }, () => undefined)
  append(opened, 2, 30, 700)
  rig.flush(opened)
  rig.settle()
  return { rig, checkpoints: new CheckpointDisk(rig.scheduler, rig.random.stream('checkpoints')) }
}

export function checkInstalled(rig: StorageRig, source: OpenedLog): void {
  const { log, recovered } = rig.open()
  expect(log.lastId).toEqual({ term: 3, index: 90 })
  expect(recovered.hardState).toEqual({ term: 4, votedFor: 2 })
  for (const index of [1, 45, 90] as LogIndex[])
    expect(Buffer.from(log.entry(index).body)).toEqual(Buffer.from(source.log.entry(index).body))
}
