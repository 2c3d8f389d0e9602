/** No snapshot that was made of a state that has parted from the others is given to anybody: not later, and not after a crash. */
import { describe, expect, it } from 'vitest'
import type { SnapshotSource } from '../../src/node/snapshot-source.ts'
import type { Disk } from '../../src/platform/disk.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { distrustParted, forgetParted, noteParted, readParted } from '../../src/storage/parted.ts'
import { findSnapshot, takeSnapshot, type RowReader } from '../../src/storage/snapshot/take-snapshot.ts'
import { digest, sourceOf } from './giver-rig.ts'
import { append, rigDirectory, StorageRig } from './rig.ts'

const snapshots = `${rigDirectory}/snapshots`

/** A log of 100 entries, and a snapshot at 90 that somebody had asked for. */
function aNode(seed: string): { rig: StorageRig; disk: Disk; opened: OpenedLog } {
  const rig = new StorageRig(`parted/${seed}`)
  const opened = rig.open()
  append(opened, 3, 100)
  rig.flush(opened)
  rig.settle()
  const { disk } = rig.openOptions()
  const rows = {
    next: (done: (error: undefined, rows: undefined) => void) => rig.scheduler.schedule(1, () => done(undefined, undefined)),
    close,
  }
  const files = [{ kind: 'state' as const, name: 'state', bytes: 0, tag: '1-1-90' }]
  const manifest = { format: 1 as const, term: 3, index: 90, lastWallMs: 1, digest, membership: '', files }
  takeSnapshot(disk, snapshots, { manifest, rows, copies: [] }, close)
  rig.settle()
  expect(findSnapshot(disk, snapshots)?.manifest.index).toBe(90)
  return { rig, disk, opened }
}

function close(): void {
  // Nothing is held open.
}

interface OwnState {
  appliedIndex: number
  isTrusted: boolean
}

/** After a restart. */
function sourceAfter({ rig, disk, opened }: ReturnType<typeof aNode>, state: OwnState): SnapshotSource {
  const rows = (): RowReader => ({ next: done => void rig.scheduler.schedule(1, () => done(undefined, undefined)), close })
  return sourceOf(rig, disk, opened, rows, {
    checkpointer: { whenSaved: found => found({ appliedIndex: state.appliedIndex, digest }) },
    appliedIndex: () => state.appliedIndex,
    isStateTrusted: () => state.isTrusted,
    origin: '1-2',
  })
}

describe('a snapshot', () => {
  it('is given when it was found again after a restart', () => {
    expect(sourceAfter(aNode('found'), { appliedIndex: 95, isTrusted: true }).present()?.manifest.index).toBe(90)
  })

  it('that is ahead of the state is not given: it was made of one that was given up; who asks gets one of what there is now', () => {
    const node = aNode('ahead')
    const source = sourceAfter(node, { appliedIndex: 60, isTrusted: true })
    expect(source.present()).toBeUndefined()
    node.rig.settle()
    expect(source.present()?.manifest.index).toBe(60)
  })

  it('is neither given nor taken while the state that had parted is being rebuilt', () => {
    const node = aNode('rebuilt')
    const state = { appliedIndex: 60, isTrusted: false }
    const source = sourceAfter(node, state)
    for (state.appliedIndex of [60, 95]) {
      expect(source.present()).toBeUndefined()
      node.rig.settle()
    }
    expect(node.rig.disk.files().filter(path => path.startsWith(`${snapshots}/`) && !path.startsWith(`${snapshots}/90/`))).toEqual([])
    state.isTrusted = true
    expect(source.present()?.manifest.index).toBe(90)
  })
})

describe('a snapshot of a state that has parted', () => {
  it.each([
    ['a start that finds the note', (disk: Disk) => distrustParted(disk, rigDirectory), 95],
    ['whoever takes the note away', (disk: Disk) => forgetParted(disk, rigDirectory), undefined],
  ])('is gone behind %s', (what, step, noted) => {
    const { disk } = aNode(what)
    noteParted(disk, rigDirectory, 95)
    step(disk)
    expect(findSnapshot(disk, snapshots)).toBeUndefined()
    expect(readParted(disk, rigDirectory)).toBe(noted)
  })

  it('is left alone where nothing has parted', () => {
    const { disk } = aNode('alone')
    expect(distrustParted(disk, rigDirectory)).toBeUndefined()
    forgetParted(disk, rigDirectory)
    expect(findSnapshot(disk, snapshots)?.manifest.index).toBe(90)
  })

  it('does not outlive the note that says so, wherever the power is cut', () => {
    for (let after = 1, isCut = true; isCut; after++) {
      const { rig, disk } = aNode(`cut ${after}`)
      noteParted(disk, rigDirectory, 95)
      rig.disk.crashAfter(rig.disk.operations + after)
      try {
        distrustParted(disk, rigDirectory)
        forgetParted(disk, rigDirectory)
        isCut = false
      } catch (error) {
        if (rig.disk.isInUse) throw error
      }
      rig.cutPower()
      const next = rig.openOptions().disk
      if (readParted(next, rigDirectory) === undefined) expect(findSnapshot(next, snapshots), `after operation ${after}`).toBeUndefined()
      else expect(isCut).toBe(true)
      if (!isCut) expect(after).toBeGreaterThan(3)
    }
  })
})
