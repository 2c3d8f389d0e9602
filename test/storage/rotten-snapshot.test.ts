/** A snapshot that was taken and has rotted since is not served until it is stale: found while it is served, thrown away, taken anew. */
import { describe, expect, it } from 'vitest'
import { SnapshotSource } from '../../src/node/snapshot-source.ts'
import type { CheckpointRows } from '../../src/state/store.ts'
import { openLog } from '../../src/storage/open-log.ts'
import { encodeRows } from '../../src/storage/snapshot/state-file.ts'
import type { StateRow } from '../../src/storage/snapshot/state-file.ts'
import { append, rigDirectory, StorageRig } from './rig.ts'

const digest = { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } }
const path = `${rigDirectory}/snapshots/90/state`
/** Read in blocks of ten. */
const rows: StateRow[] = Array.from({ length: 50 }, (_, i) => ({ key: Uint8Array.of(7, i), value: new Uint8Array(30).fill(i) }))
const stateBytes = encodeAll()
const pieceBytes = 128

function encodeAll(): Buffer {
  return Buffer.concat([0, 10, 20, 30, 40].map(at => encodeRows(rows.slice(at, at + 10))))
}

/** A node whose checkpoint is at entry 90 of 100; somebody has asked for a snapshot, and it is there. */
function aSource(seed: string): { rig: StorageRig; source: SnapshotSource; notes: string[] } {
  const rig = new StorageRig(`rotten snapshot/${seed}`)
  const options = rig.openOptions()
  const opened = openLog({ ...options, limits: rig.limits })
  append(opened, 3, 100, 40)
  rig.flush(opened)
  const notes: string[] = []
  const source = new SnapshotSource({
    disk: options.disk,
    dataDirectory: rigDirectory,
    log: opened.log,
    index: { files: () => [] },
    store: { save: () => undefined, rows: () => reader(rig) },
    checkpointer: { whenSaved: found => found({ appliedIndex: 90, digest }) },
    appliedIndex: () => 95,
    origin: '1-1',
    staleEntries: 1_000,
    note: sentence => notes.push(sentence),
    fatal: error => {
      throw error
    },
  })
  expect(source.present()).toBeUndefined()
  rig.settle()
  return { rig, source, notes }
}

function reader(rig: StorageRig): CheckpointRows {
  let at = 0
  return {
    next: done => {
      const some = rows.slice(at, (at += 10))
      rig.scheduler.schedule(1, () => done(undefined, some.length === 0 ? undefined : some))
    },
    close: () => undefined,
  }
}

/** Reads the state file piece by piece; how far it came, and what it got. */
function readAll(source: SnapshotSource): Buffer {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < stateBytes.length; at += pieceBytes) {
    const piece = source.read(90, 0, at, pieceBytes)
    if (piece === undefined) break
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

describe('the state of a snapshot', () => {
  it('is served as it was written, from the beginning, again, and from anywhere', () => {
    const { source } = aSource('whole')
    expect(source.present()?.manifest.index).toBe(90)
    expect(readAll(source)).toEqual(stateBytes)
    expect(readAll(source)).toEqual(stateBytes)
    for (const at of [stateBytes.length - 1, 1_000, 407, 408, 0])
      expect(source.read(90, 0, at, pieceBytes)).toEqual(new Uint8Array(stateBytes.subarray(at, at + pieceBytes)))
  })

  it('is not served with any bit flipped: not a byte of the block that has rotted, and nothing behind it', () => {
    const blockBytes = stateBytes.length / 5
    for (let position = 0; position < stateBytes.length; position += 37) {
      const { rig, source, notes } = aSource(`bit ${position}`)
      rig.disk.flipBit(path, position, position % 8)
      const before = Math.floor(Math.floor(position / blockBytes) * blockBytes)
      expect(readAll(source), `byte ${position}`).toEqual(stateBytes.subarray(0, Math.floor(before / pieceBytes) * pieceBytes))
      expect(notes.at(-1)).toBe('the snapshot at entry 90 has rotted on this disk; thrown away, another one is taken when it is needed')
    }
  })

  it('that rots after it was served once is found when it is served again', () => {
    const { rig, source } = aSource('again')
    expect(readAll(source)).toEqual(stateBytes)
    rig.disk.flipBit(path, stateBytes.length - 5, 0)
    expect(readAll(source).length).toBeLessThan(stateBytes.length - 5)
  })

  it('that has rotted is thrown away with its snapshot, and who asks next gets a new one, which is whole', () => {
    const { rig, source } = aSource('anew')
    rig.disk.flipBit(path, 500, 3)
    readAll(source)
    expect(rig.disk.files().filter(name => name.includes('/snapshots/'))).toEqual([])
    expect(source.read(90, 0, 0, pieceBytes)).toBeUndefined()
    expect(source.present()).toBeUndefined()
    rig.settle()
    expect(source.present()?.manifest.index).toBe(90)
    expect(readAll(source)).toEqual(stateBytes)
  })
})
