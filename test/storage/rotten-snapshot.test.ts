/**
 * What rots on the node that gives a snapshot is found while it is served: the state that was taken is thrown away and taken anew, a segment of the log is
 * mended where it stands, and no byte of what has rotted leaves the node.
 */
import { describe, expect, it } from 'vitest'
import type { SnapshotSource } from '../../src/node/snapshot-source.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { crc32c } from '../../src/platform/bytes.ts'
import type { Disk } from '../../src/platform/disk.ts'
import type { CheckpointRows } from '../../src/state/store.ts'
import { encodeBlockHeader, encodeOpenHeader, openRowBytes } from '../../src/storage/open-chunk.ts'
import type { QueueIndexFile } from '../../src/storage/queue-index.ts'
import type { SnapshotFile } from '../../src/storage/snapshot/manifest.ts'
import { encodeRows } from '../../src/storage/snapshot/state-file.ts'
import type { StateRow } from '../../src/storage/snapshot/state-file.ts'
import { aGiverOf, digest, type Giver, type GiverOptions } from './giver-rig.ts'
import { append, rigDirectory, StorageRig } from './rig.ts'

const path = `${rigDirectory}/snapshots/90/state`
/** Read in blocks of ten. */
const rows: StateRow[] = Array.from({ length: 50 }, (_, i) => ({ key: Uint8Array.of(7, i), value: new Uint8Array(30).fill(i) }))
const stateBytes = encodeAll()
const pieceBytes = 128

function encodeAll(): Buffer {
  return Buffer.concat([0, 10, 20, 30, 40].map(at => encodeRows(rows.slice(at, at + 10))))
}

/** Somebody has asked for a snapshot, and it is there. */
function aSource(seed: string, given: GiverOptions = {}): Giver & { rig: StorageRig } {
  const rig = new StorageRig(`rotten snapshot/${seed}`)
  const giver = aGiverOf(rig, () => reader(rig), given)
  expect(giver.source.present()).toBeUndefined()
  rig.settle()
  return { rig, ...giver }
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
    if (piece === 'gone' || piece === 'rotten') break
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
    expect(source.read(90, 0, 0, pieceBytes)).toBe('gone')
    expect(source.present()).toBeUndefined()
    rig.settle()
    expect(source.present()?.manifest.index).toBe(90)
    expect(readAll(source)).toEqual(stateBytes)
  })

  it('that is missing is not offered: who asks gets a new one', () => {
    const { disk, rig, source } = aSource('missing')
    disk.remove(path)
    expect(source.read(90, 0, 0, pieceBytes)).toBe('gone')
    expect(source.present()).toBeUndefined()
    rig.settle()
    expect(source.present()?.manifest.index).toBe(90)
    expect(readAll(source)).toEqual(stateBytes)
  })

  it('that was lost while nobody fetched it is not offered either', () => {
    const { disk, rig, source } = aSource('lost')
    expect(source.present()?.manifest.index).toBe(90)
    disk.remove(path)
    expect(source.present()).toBeUndefined()
    rig.settle()
    expect(readAll(source)).toEqual(stateBytes)
  })

  it('is not given any more, nor missed, while it makes room for a later one', () => {
    const name = '000000000001.open'
    const before = (disk: Disk): void => {
      disk.makeDirectory(`${rigDirectory}/queue-index`)
      disk.open(`${rigDirectory}/queue-index/${name}`, { create: true }).writeSync(encodeOpenHeader(1, 0), 0)
    }
    const bytes = encodeOpenHeader(1, 0).length
    let at = 90
    const { rig, source, notes } = aSource('later', {
      index: { files: () => [{ name, bytes, tag: '', isSealed: false }], scrubBlock: () => undefined, renew: ignore },
      before,
      appliedIndex: () => 99,
      checkpointer: { whenSaved: found => found({ appliedIndex: at, digest }) },
    })
    expect(source.present()?.manifest.index).toBe(90)
    at = 95
    expect(source.present(95)).toBeUndefined()
    const seen = new Set<string>()
    const isThere = (file: string): boolean => rig.disk.files().includes(`${rigDirectory}/snapshots/90/${file}`)
    for (let i = 0; i < 5_000 && isThere('state'); i++) {
      rig.scheduler.runFor(0.05)
      const given = source.present(95)?.manifest.index
      seen.add(`${given} ${typeof source.read(90, 1, 0, 10)}`)
    }
    rig.settle()
    expect([...seen]).toEqual(['undefined object', '95 string'])
    expect(rig.disk.files().filter(file => file.includes('/snapshots/90/'))).toEqual([])
    expect(notes.filter(note => note.includes('could not') || note.includes('thrown away'))).toEqual([])
    expect(source.read(95, 1, 0, 10)).toHaveLength(10)
  })

  it('that is of an earlier entry than who asks has use for is not given: another one is taken', () => {
    const { source } = aSource('too early')
    expect(source.present(90)?.manifest.index).toBe(90)
    expect(source.present(91)).toBeUndefined()
  })

  it('or any other file that is shorter than it was ends the snapshot, and the next one has it as it is', () => {
    for (const name of ['state', 'sidecar'] as const) {
      const { disk, rig, source } = aSource(`short ${name}`, { entryBytes: 400 })
      const files = source.present()?.manifest.files ?? []
      const number = name === 'state' ? 0 : files.findIndex(file => file.name.endsWith('.idx'))
      const { name: fileName, bytes } = mustExist(files[number], 'file')
      const file = disk.open(name === 'state' ? path : `${rigDirectory}/log/${fileName}`, { create: false })
      file.truncateSync(bytes - 1)
      file.close()
      expect(source.read(90, number, 0, bytes), name).toBe('gone')
      expect(source.present(), name).toBeUndefined()
      rig.settle()
      expect(source.present()?.manifest.index, name).toBe(90)
      expect(readAll(source), name).toEqual(stateBytes)
    }
  })
})

describe('the log of a snapshot', () => {
  it('is served as it stands on the disk, header and all, up to its last entry', () => {
    const { rig, source } = aSource('log')
    for (const { name, bytes } of logFiles(source)) {
      const stands = rig.disk.durableBytes(`${rigDirectory}/log/${name}`)?.subarray(0, bytes)
      expect(readFile(source, name)).toEqual({ bytes: Buffer.from(stands ?? []), end: undefined })
    }
  })

  it('is not served with any bit flipped: the log asks others for what has rotted, and what was mended is served (seed 239)', () => {
    const [file] = logFiles(aSource('size').source)
    for (let position = 512; position < (file?.bytes ?? 0); position += 211) {
      const { rig, opened, source } = aSource(`log bit ${position}`)
      const name = file?.name ?? ''
      const whole = readFile(source, name).bytes
      rig.disk.flipBit(`${rigDirectory}/log/${name}`, position, position % 8)
      const read = readFile(source, name)
      expect(read.end, `byte ${position}`).toBe('rotten')
      expect(whole.subarray(0, read.bytes.length)).toEqual(read.bytes)
      expect(read.bytes.length).toBeLessThanOrEqual(position)
      expect(opened.holes.counts.open).toBe(1)
      rig.disk.flipBit(`${rigDirectory}/log/${name}`, position, position % 8)
      expect(readFile(source, name)).toEqual({ bytes: whole, end: undefined })
    }
  })

  it('that ends before the state, for its end has rotted and is being mended: nothing is given until it is here (seed 35008855)', () => {
    const { rig, opened, source, notes } = aSource('mending', { entries: 60 })
    expect(source.present()).toBeUndefined()
    rig.settle()
    expect(source.present()).toBeUndefined()
    expect(notes).toEqual([])
    append(opened, 3, 30)
    rig.flush(opened)
    expect(source.present()).toBeUndefined()
    rig.settle()
    expect(source.present()?.manifest).toMatchObject({ index: 90, term: 3 })
  })

  it('has its header written anew from memory where both copies of it have rotted', () => {
    const { rig, source, notes } = aSource('header')
    const name = logFiles(source)[0]?.name ?? ''
    const whole = readFile(source, name).bytes
    for (const position of [20, 276]) rig.disk.flipBit(`${rigDirectory}/log/${name}`, position, 1)
    expect(readFile(source, name)).toEqual({ bytes: whole, end: undefined })
    expect(notes.at(-1)).toContain('its header had rotted; written anew')
  })
})

describe('the chunk of the queue index that still grows', () => {
  it('is not copied into a snapshot when it has rotted: it is written anew, and the next snapshot has all of it', () => {
    const name = '000000000001.open'
    const path = `${rigDirectory}/queue-index/${name}`
    const chunk = openChunk()
    for (const position of [0, 9, 27, 32, 40, 63, 67, 72, 99, 150, chunk.length - 1]) {
      const renewed: number[] = []
      const files = (): QueueIndexFile[] => [{ name, bytes: chunk.length, tag: '', isSealed: false }]
      const index = { files, scrubBlock: () => undefined, renew: (savedIndex: number) => renewed.push(savedIndex) }
      const before = (disk: Disk): void => {
        disk.makeDirectory(`${rigDirectory}/queue-index`)
        const file = disk.open(path, { create: true })
        file.writeSync(chunk, 0)
        file.syncSync()
        file.close()
        disk.syncDirectory(`${rigDirectory}/queue-index`)
        flip(disk, path, position)
      }
      const { source, notes } = aSource(`chunk ${position}`, { index, before })
      expect(source.present(), `byte ${position}`).toBeUndefined()
      expect(renewed).toEqual([90])
      expect(notes.at(-1)).toContain('has rotted; written anew from memory')
    }
  })

  it('is served as it was copied, and not with any bit flipped since', () => {
    const name = '000000000001.open'
    const chunk = openChunk()
    const index = { files: () => [{ name, bytes: chunk.length, tag: '', isSealed: false }], scrubBlock: () => undefined, renew: ignore }
    for (const position of [0, 20, 33, 60, 75, 100, chunk.length - 1]) {
      const before = (disk: Disk): void => {
        disk.makeDirectory(`${rigDirectory}/queue-index`)
        const file = disk.open(`${rigDirectory}/queue-index/${name}`, { create: true })
        file.writeSync(chunk, 0)
      }
      const { rig, source, notes } = aSource(`copy ${position}`, { index, before })
      expect(readFile(source, name)).toEqual({ bytes: Buffer.from(chunk), end: undefined })
      rig.disk.flipBit(`${rigDirectory}/snapshots/90/${name}`, position, 2)
      expect(readFile(source, name).end, `byte ${position}`).toBe('gone')
      expect(notes.at(-1)).toContain('has rotted on this disk; thrown away')
    }
  })
})

function openChunk(): Uint8Array {
  const header = encodeOpenHeader(1, 0)
  const some = new Uint8Array(3 * openRowBytes).fill(3)
  const first = encodeBlockHeader({ throughIndex: 40, logBytes: 10 }, crc32c(header.subarray(0, 24)), some)
  const second = encodeBlockHeader({ throughIndex: 90, logBytes: 20 }, crc32c(first.subarray(0, 32)), some)
  return Buffer.concat([header, first, some, second, some])
}

function flip(disk: Disk, path: string, position: number): void {
  const file = disk.open(path, { create: false })
  const byte = new Uint8Array(1)
  file.readSync(byte, position)
  file.writeSync(Uint8Array.of((byte[0] ?? 0) ^ 4), position)
  file.syncSync()
  file.close()
}

function ignore(): void {
  // Nothing to renew.
}

function logFiles(source: SnapshotSource): readonly SnapshotFile[] {
  return (source.present()?.manifest.files ?? []).filter(({ name }) => name.endsWith('.log'))
}

/** A file from its beginning, and why it went no further. */
function readFile(source: SnapshotSource, name: string): { readonly bytes: Buffer; readonly end: string | undefined } {
  const files = source.present()?.manifest.files ?? []
  const number = files.findIndex(file => file.name === name)
  const pieces: Uint8Array[] = []
  for (let at = 0; at < (files[number]?.bytes ?? 0); at += pieceBytes) {
    const piece = source.read(90, number, at, pieceBytes)
    if (piece === 'gone' || piece === 'rotten') return { bytes: Buffer.concat(pieces), end: piece }
    pieces.push(piece)
  }
  return { bytes: Buffer.concat(pieces), end: undefined }
}
