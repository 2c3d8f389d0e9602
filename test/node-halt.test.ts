/** A broker node that must not go on: what it did not understand is the last entry that it looked at, and no checkpoint is made of it. */
import { expect, test } from 'vitest'
import { EntryKind, logIndex, UnreadableEntry } from '../raft/index.ts'
import type { BrokerNode } from '../src/node/broker-node.ts'
import { mustExist } from '../src/platform/assert.ts'
import { crc32c, viewOf } from '../src/platform/bytes.ts'
import type { Disk } from '../src/platform/disk.ts'
import { noteParted, partedName, readParted } from '../src/storage/parted.ts'
import { recordBodyBytes, recordHeaderBytes, recordIndex } from '../src/storage/record.ts'
import { preparedName, segmentHeaderBytes } from '../src/storage/segment.ts'
import type { SnapshotManifest } from '../src/storage/snapshot/manifest.ts'
import { findSnapshot, takeSnapshot } from '../src/storage/snapshot/take-snapshot.ts'
import { IndexRot } from '../src/storage/storage-error.ts'
import { Alone, barriers } from './support/alone.ts'

/** Flips a bit of this entry's body on the disk. */
function rotAt({ disk }: Alone, { log }: BrokerNode, index: number): void {
  const segment = mustExist(
    log.segments.findLast(({ firstIndex }) => firstIndex <= index),
    'segment',
  )
  const path = `/data/log/${segment.name}`
  const view = viewOf(mustExist(disk.contentOf(path), 'content'))
  let position = segmentHeaderBytes
  while (recordIndex(view, position) < index) position += recordHeaderBytes + recordBodyBytes(view, position)
  disk.flipBit(path, position + recordHeaderBytes + 3)
}

/** What SnapshotSource leaves behind when somebody has asked for a snapshot. */
function leaveSnapshot({ scheduler }: Alone, disk: Disk, at: Pick<SnapshotManifest, 'index' | 'digest'>): void {
  const nothing = (done: (error: undefined, rows: undefined) => void): void => void scheduler.schedule(1, () => done(undefined, undefined))
  const files = [{ kind: 'state' as const, name: 'state', bytes: 0, tag: '1-1' }]
  const manifest: SnapshotManifest = { format: 1, term: 1, lastWallMs: 1, membership: '', files, ...at }
  let isTaken = false
  const parts = { manifest, rows: { next: nothing, close: () => undefined }, copies: [] }
  takeSnapshot(disk, '/data/snapshots', parts, (_error, taken) => (isTaken = taken !== undefined))
  scheduler.runUntilTrue(() => isTaken, 1_000)
}

const wrongDigest = { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } }

test('a node that meets an entry it can not apply stops with its sentence, applies nothing behind it and saves nothing of it', () => {
  const alone = new Alone()
  const { scheduler, fatal, checkpoints } = alone
  const node = alone.start()
  // What a new leader has to say of its group is in the log by then.
  scheduler.runFor(2_000)
  const before = node.machine.appliedIndex
  const garbage = Buffer.from('no command')
  const body = { parts: [garbage], bytes: garbage.length, crc: crc32c(garbage) }
  expect(node.raft.propose(EntryKind.data, [body, body, body])).toBeUndefined()
  scheduler.runFor(2_000)
  expect(fatal).toEqual([expect.stringContaining('cannot be applied')])
  expect(node.machine.appliedIndex).toBe(before)
  expect(checkpoints.open(scheduler.newProcess('n1')).loaded?.appliedIndex ?? 0).toBeLessThanOrEqual(before)
})

test('a state that has parted from the others stays out after a restart, too: its checkpoint is not taken for the truth', () => {
  const alone = new Alone()
  const node = alone.start()
  alone.propose(node, barriers(1_200))
  alone.propose(node, [{ kind: 'digestCheck', atIndex: 1_000, digest: wrongDigest }])
  expect(alone.fatal).toEqual([expect.stringContaining('its data must be rebuilt from a peer')])
  alone.kill()
  expect(alone.checkpoints.open(alone.scheduler.newProcess('look')).loaded?.appliedIndex ?? 0).toBeGreaterThan(1_000)
  alone.start()
  alone.scheduler.runFor(500)
  expect(alone.fatal).toHaveLength(2)
  expect(alone.fatal[1]).toBe(alone.fatal[0])
})

test('a state that has parted is rebuilt from the log, and trusted again when what was rebuilt is saved', () => {
  const alone = new Alone()
  const rebuilt = "this node's state has parted from the others' by entry 50; the state is rebuilt from the log"
  alone.propose(alone.start(), barriers(100))
  alone.kill()
  noteParted(alone.disk.openProcess(alone.scheduler.newProcess('somebody')), '/data', 50)
  const again = alone.start()
  expect(alone.notes).toContain(rebuilt)
  // Passed, and nothing saved of it: the checkpoint on disk is still the old one.
  alone.scheduler.runUntilTrue(() => again.machine.appliedIndex > 100, 1_000)
  alone.kill()
  alone.notes.length = 0
  const third = alone.start()
  expect(alone.notes).toContain(rebuilt)
  alone.scheduler.runFor(1_000)
  expect(third.machine.recomputeDigest()).toEqual(third.machine.digest())
  alone.kill()
  alone.notes.length = 0
  alone.start()
  expect(alone.notes.join()).not.toContain('parted')
  expect(alone.fatal).toEqual([])
})

test('a snapshot that was made of a state that has parted is gone as soon as the next life begins, and is not there when all is well again', () => {
  const alone = new Alone()
  const node = alone.start()
  alone.propose(node, barriers(100))
  const { appliedIndex: index } = node.machine
  const digest = node.machine.digest()
  alone.kill()
  const disk = alone.disk.openProcess(alone.scheduler.newProcess('somebody'))
  leaveSnapshot(alone, disk, { index, digest })
  noteParted(disk, '/data', index - 10)
  expect(findSnapshot(disk, '/data/snapshots')?.manifest.index).toBe(index)
  const snapshotFiles = (): string[] => alone.disk.files().filter(path => path.startsWith('/data/snapshots/'))
  alone.start(() => true)
  expect(snapshotFiles()).toEqual([])
  alone.kill()
  alone.disk.cutPower()
  alone.start()
  alone.scheduler.runFor(2_000)
  expect(alone.disk.files()).not.toContain(`/data/${partedName}`)
  expect(snapshotFiles()).toEqual([])
})

test('a state that parts again behind the place where it was found first is not trusted for a save that passes only that place', () => {
  const alone = new Alone()
  alone.propose(alone.start(), barriers(1_200))
  alone.kill()
  noteParted(alone.disk.openProcess(alone.scheduler.newProcess('somebody')), '/data', 50)
  // It is being saved then, and the note still stands.
  const again = alone.start(({ machine }) => machine.appliedIndex > 1_200 && machine.unsavedRows === 0)
  alone.propose(again, [{ kind: 'digestCheck', atIndex: 1_000, digest: wrongDigest }])
  expect(alone.fatal).toEqual([expect.stringContaining('its data must be rebuilt from a peer')])
  const life = alone.scheduler.newProcess('look')
  expect(readParted(alone.disk.openProcess(life), '/data')).toBe(again.machine.appliedIndex + 1)
})

test('an idle leader whose disk fails in the background stops at once, and not with its next entry', () => {
  const alone = new Alone()
  const node = alone.start()
  alone.disk.failNext({ operation: 'sync', pathPart: preparedName, code: 'EIO' })
  alone.propose(node, barriers(500))
  alone.scheduler.runFor(1_000)
  expect(alone.fatal).toEqual([expect.stringContaining('writing the log failed (EIO')])
  expect(node.raft.status().isFailed).toBe(true)
})

test('an orderly stop whose last checkpoint meets a disk that fails says so, and ends (seed 31000564)', () => {
  const alone = new Alone()
  const node = alone.start()
  alone.propose(node, barriers(50), 400)
  alone.propose(node, barriers(50), 100)
  alone.checkpoints.fail(new Error('EIO: checkpoint'))
  let hasEnded = false
  node.stop(() => (hasEnded = true))
  alone.scheduler.runFor(5_000)
  expect(hasEnded).toBe(true)
  expect(alone.fatal).toEqual([])
  expect(alone.notes.at(-1)).toBe('while it stops: EIO: checkpoint')
})

test('a read is not ready at an entry that rot in the queue index has kept from being applied', () => {
  const alone = new Alone()
  alone.propose(alone.start(), barriers(300))
  alone.kill()
  const node = alone.start(() => true)
  const { machine, raft } = node
  const before = machine.appliedIndex
  machine.apply = entry => {
    throw new IndexRot(`entry ${entry.index}: a chunk has rotted`, '/data/queue-index')
  }
  alone.scheduler.runUntilTrue(() => raft.role === 'leader', 5_000)
  let end: string | undefined
  raft.readIndex(3_000, how => (end = how.kind))
  alone.scheduler.runFor(4_000)
  expect(machine.appliedIndex).toBe(before)
  expect(end).toBe('refused')
  expect(alone.fatal).toEqual(['wants to install a snapshot'])
  expect(alone.notes.at(-1)).toContain('this node starts again and makes index and state anew')
})

test('a config entry that has rotted, and that nobody else could give, does not hold up what retention deletes', () => {
  const alone = new Alone()
  const node = alone.start()
  // What a new leader has to say of its group is in the log by then.
  alone.scheduler.runFor(2_000)
  const config = mustExist(node.machine.membership, 'membership').index
  rotAt(alone, node, config)
  // More than is kept in memory.
  while (node.log.bytesBehind(logIndex(config)) < 33 * 1024 * 1024) alone.propose(node, barriers(10_000))
  expect(() => node.log.entry(logIndex(config))).toThrow(UnreadableEntry)
  alone.propose(node, [{ kind: 'trimLog', index: node.machine.appliedIndex }])
  for (let i = 0; i < 4; i++) alone.propose(node, barriers(1))
  expect(node.log.firstIndex).toBeGreaterThan(config)
  expect(node.machine.membership?.index).toBe(config)
  expect(node.log.baseMembership?.index).toBe(config)
  expect(alone.fatal).toEqual([])
})
