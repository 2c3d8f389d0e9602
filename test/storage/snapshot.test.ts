/** Taking, fetching and installing a snapshot on simulated disks: with crashes after every disk operation of either side, and with what must be refused. */
import { describe, expect, it } from 'vitest'
import { encodeMembership, firstMembership } from '../../raft/index.ts'
import type { LogIndex, NodeId, Term } from '../../raft/index.ts'
import { CheckpointDisk } from '../../chaos/sim/checkpoint-store.ts'
import { mustExist } from '../../src/platform/assert.ts'
import type { Disk } from '../../src/platform/disk.ts'
import type { CheckpointWrite } from '../../src/storage/checkpoint-codec.ts'
import { encodeOpenHeader } from '../../src/storage/open-chunk.ts'
import { openLog } from '../../src/storage/open-log.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { noteParted, readParted } from '../../src/storage/parted.ts'
import { installSnapshot } from '../../src/storage/snapshot/install.ts'
import type { Installed } from '../../src/storage/snapshot/install.ts'
import { decodeManifest, encodeBaseMembership, encodeManifest } from '../../src/storage/snapshot/manifest.ts'
import type { SnapshotManifest } from '../../src/storage/snapshot/manifest.ts'
import { Staging } from '../../src/storage/snapshot/staging.ts'
import { encodeRows, readRows } from '../../src/storage/snapshot/state-file.ts'
import type { StateRow } from '../../src/storage/snapshot/state-file.ts'
import { findSnapshot, readWhole, takeSnapshot } from '../../src/storage/snapshot/take-snapshot.ts'
import type { TakenSnapshot } from '../../src/storage/snapshot/take-snapshot.ts'
import { append, rigDirectory, rigIdentity, StorageRig } from './rig.ts'

const digest = { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } }
const rows: StateRow[] = Array.from({ length: 20 }, (_, i) => ({ key: Uint8Array.of(7, i), value: new Uint8Array(30).fill(i) }))
const snapshots = `${rigDirectory}/snapshots`

/** A leader's log of several segments; the snapshot is at entry 90 of 100. */
function aLeader(seed: string): { rig: StorageRig; opened: OpenedLog; disk: Disk } {
  const rig = new StorageRig(`leader/${seed}`)
  const options = rig.openOptions()
  const opened = openLog({ ...options, limits: rig.limits })
  append(opened, 3, 100, 400)
  rig.flush(opened)
  return { rig, opened, disk: options.disk }
}

function take({ rig, opened, disk }: ReturnType<typeof aLeader>): TakenSnapshot {
  let left = 2
  const reader = {
    next: (done: (error: undefined, some: readonly StateRow[] | undefined) => void) => {
      left--
      rig.scheduler.schedule(1, () => done(undefined, left < 0 ? undefined : rows.slice(left * 10, left * 10 + 10)))
    },
    close: () => undefined,
  }
  const log = opened.log.filesThrough(90).map(({ name, bytes, prevCrc }) => ({ kind: 'log' as const, name, bytes, tag: `${prevCrc}` }))
  const files = [{ kind: 'state' as const, name: 'state', bytes: 0, tag: 'one' }, ...log]
  const manifest = {
    format: 1 as const,
    term: 3,
    index: 90,
    lastWallMs: 5,
    digest,
    membership: encodeBaseMembership(opened.log.baseMembership),
    files,
  }
  let taken: TakenSnapshot | undefined
  takeSnapshot(disk, snapshots, { manifest, rows: reader, copies: [] }, (error, found) => {
    if (error !== undefined) throw error
    taken = found
  })
  rig.scheduler.runUntilTrue(() => taken !== undefined, 60_000)
  return mustExist(taken, 'taken')
}

/** The bytes of each file of the snapshot. */
function contents(rig: StorageRig, { manifest, directory }: TakenSnapshot): Uint8Array[] {
  return manifest.files.map(({ kind, name, bytes }) => {
    const path = kind === 'state' ? `${directory}/state` : `${rigDirectory}/log/${name}`
    return mustExist(rig.disk.contentOf(path), 'file').slice(0, bytes)
  })
}

/** Fetches all that is missing, in pieces, and declares it complete. How many bytes came. */
function fetchAll(rig: StorageRig, manifest: SnapshotManifest, source: readonly Uint8Array[], piecesMax = Infinity): number {
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

function install(rig: StorageRig, checkpoints: CheckpointDisk, problem?: string): Installed | undefined {
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
function aFollower(seed: string, term = 4): { rig: StorageRig; checkpoints: CheckpointDisk } {
  const rig = new StorageRig(`follower/${seed}`)
  const opened = rig.open()
  opened.hardState.save({ term: term as Term, votedFor: 2 }, () => undefined)
  append(opened, 2, 30, 700)
  rig.flush(opened)
  rig.settle()
  return { rig, checkpoints: new CheckpointDisk(rig.scheduler, rig.random.stream('checkpoints')) }
}

function checkInstalled(rig: StorageRig, source: OpenedLog): void {
  const { log, recovered } = rig.open()
  expect(log.lastId).toEqual({ term: 3, index: 90 })
  expect(recovered.hardState).toEqual({ term: 4, votedFor: 2 })
  for (const index of [1, 45, 90] as LogIndex[])
    expect(Buffer.from(log.entry(index).body)).toEqual(Buffer.from(source.log.entry(index).body))
}

describe('a snapshot', () => {
  it('is taken, fetched and installed: log, rows and term are there, own uncommitted entries are not', () => {
    const source = aLeader('whole')
    const { rig: leader, opened } = source
    const taken = take(source)
    const { rig, checkpoints } = aFollower('whole')
    fetchAll(rig, taken.manifest, contents(leader, taken))
    const installed = install(rig, checkpoints)
    expect(installed?.checkpoint?.rows.map(({ key }) => key[1]).sort((a = 0, b = 0) => a - b)).toEqual(rows.map(({ key }) => key[1]))
    expect(installed?.checkpoint).toMatchObject({ number: 1, appliedIndex: 90, digest })
    checkInstalled(rig, opened)
    expect(install(rig, checkpoints)).toBeUndefined()
  })

  it('takes the place of a state that had parted from the others, and the note of that goes', () => {
    const source = aLeader('parted')
    const taken = take(source)
    const { rig, checkpoints } = aFollower('parted')
    fetchAll(rig, taken.manifest, contents(source.rig, taken))
    const { disk } = rig.openOptions()
    noteParted(disk, rigDirectory, 20)
    expect(readParted(disk, rigDirectory)).toBe(20)
    install(rig, checkpoints)
    expect(readParted(rig.openOptions().disk, rigDirectory)).toBeUndefined()
  })

  it('of a later term than the node has heard of is no sign that a vote was lost: it votes as before', () => {
    const source = aLeader('later')
    const taken = take(source)
    const { rig, checkpoints } = aFollower('later', 2)
    fetchAll(rig, taken.manifest, contents(source.rig, taken))
    install(rig, checkpoints)
    const { recovered } = rig.open()
    expect(recovered).toMatchObject({ last: { term: 3, index: 90 }, hardState: { term: 3, votedFor: undefined }, isVoteWithheld: false })
  })

  it('of a log whose beginning is deleted makes a log that begins there', () => {
    const source = aLeader('trimmed')
    const { rig: leader, opened } = source
    opened.log.trimTo(60 as LogIndex)
    leader.settle()
    const membership = firstMembership([{ id: 1 as NodeId, name: 'n1', address: 'h:1', clientAddress: 'h:2' }])
    opened.log.knowMembership({ index: 7, body: encodeMembership(membership) })
    const taken = take(source)
    const { rig, checkpoints } = aFollower('trimmed')
    fetchAll(rig, taken.manifest, contents(leader, taken))
    install(rig, checkpoints)
    const { log, recovered } = rig.open()
    expect(recovered.memberships).toEqual([{ index: 7, membership }])
    expect(log.firstIndex).toBe(opened.log.firstIndex)
    expect(log.firstIndex).toBeGreaterThan(1)
    expect(log.lastId.index).toBe(90)
  })

  it('that was being fetched goes on where it ended, also under a manifest of another leader', () => {
    const source = aLeader('resumed')
    const { rig: leader, opened } = source
    const taken = take(source)
    const bytes = contents(leader, taken)
    const total = bytes.reduce((sum, file) => sum + file.length, 0)
    const { rig, checkpoints } = aFollower('resumed')
    expect(fetchAll(rig, taken.manifest, bytes, 20)).toBeGreaterThan(10_000)
    rig.cutPower()
    rig.open()
    const state = { ...mustExist(taken.manifest.files[0], 'state'), tag: 'two' }
    const other = { ...taken.manifest, files: [state, ...taken.manifest.files.slice(1)] }
    const fetched = fetchAll(rig, other, bytes)
    expect(fetched).toBeLessThan(total - 8_000)
    install(rig, checkpoints)
    checkInstalled(rig, opened)
  })

  it('whose fetch was interrupted by that of another one is not believed to have what the other has written over', () => {
    const source = aLeader('interrupted')
    const { rig: leader, opened } = source
    const taken = take(source)
    const bytes = contents(leader, taken)
    const { rig, checkpoints } = aFollower('interrupted')
    fetchAll(rig, taken.manifest, bytes, 20)
    rig.open()
    const [state, ...log] = taken.manifest.files
    const other = { ...taken.manifest, files: [{ ...mustExist(state, 'state'), tag: 'two', bytes: 5_000 }, ...log.slice(1)] }
    fetchAll(rig, other, [new Uint8Array(5_000).fill(0xee), ...bytes.slice(2)], 1)
    rig.disk.kill()
    rig.open()
    fetchAll(rig, taken.manifest, bytes)
    expect(install(rig, checkpoints)?.checkpoint?.rows).toHaveLength(rows.length)
    checkInstalled(rig, opened)
  })

  it('whose files can not be synced is given up at the first error, and nothing is synced again', () => {
    const source = aLeader('failing')
    const { rig: leader } = source
    const taken = take(source)
    const { rig } = aFollower('failing')
    rig.disk.failNext({ operation: 'sync', pathPart: 'incoming/log', code: 'EIO' })
    expect(() => fetchAll(rig, taken.manifest, contents(leader, taken))).toThrow(/EIO/)
    const syncs = rig.disk.operations
    rig.settle()
    expect(rig.disk.operations).toBe(syncs)
  })

  it('takes the place of a longer log, whose mark says nothing of it', () => {
    const source = aLeader('longer')
    const taken = take(source)
    const { rig, checkpoints } = aFollower('longer')
    const own = rig.open()
    append(own, 2, 120)
    rig.flush(own)
    own.log.noteDurable(150 as LogIndex)
    rig.settle()
    expect(own.hardState.record.mark).toBe(150)
    fetchAll(rig, taken.manifest, contents(source.rig, taken))
    install(rig, checkpoints)
    checkInstalled(rig, source.opened)
  })

  it('ends where it says, whatever was fetched before of a longer one', () => {
    const source = aLeader('shorter')
    const { rig: leader, opened } = source
    const taken = take(source)
    const { rig, checkpoints } = aFollower('shorter')
    const pieces = Math.floor(contents(leader, taken).reduce((sum, file) => sum + file.length, 0) / 1_000)
    fetchAll(rig, taken.manifest, contents(leader, taken), pieces)
    const log = opened.log.filesThrough(60).map(({ name, bytes, prevCrc }) => ({ kind: 'log' as const, name, bytes, tag: `${prevCrc}` }))
    const manifest = { ...taken.manifest, index: 60, files: [mustExist(taken.manifest.files[0], 'state'), ...log] }
    fetchAll(rig, manifest, contents(leader, { ...taken, manifest }))
    install(rig, checkpoints)
    expect(rig.open().log.lastId).toEqual({ term: 3, index: 60 })
  })

  it('whose rows could not be saved is still there for the next start', () => {
    const source = aLeader('unsaved')
    const taken = take(source)
    const { rig, checkpoints } = aFollower('unsaved')
    fetchAll(rig, taken.manifest, contents(source.rig, taken))
    const { disk, clock } = rig.openOptions()
    const save = (_: CheckpointWrite, done: (error: Error) => void): void => done(new Error('no room'))
    let told: Error | undefined
    const options = { disk, clock, dataDirectory: rigDirectory, identity: rigIdentity, problemOf: () => undefined, store: { save } }
    installSnapshot(options, error => (told = error))
    expect(told?.message).toBe('no room')
    expect(install(rig, checkpoints)?.checkpoint?.rows).toHaveLength(rows.length)
    checkInstalled(rig, source.opened)
  })

  it('taken by an earlier process is found again; what is not whole is removed', () => {
    const source = aLeader('found')
    const { rig } = source
    const taken = take(source)
    rig.kill()
    const { disk } = rig.openOptions()
    expect(findSnapshot(disk, snapshots)).toEqual(taken)
    disk.remove(`${snapshots}/90/manifest`)
    expect(findSnapshot(disk, snapshots)).toBeUndefined()
    expect(disk.list(`${snapshots}/90`)).toEqual([])
  })

  it('whose rows are damaged is thrown away, and the node keeps its own log', () => {
    const source = aLeader('damaged')
    const { rig: leader } = source
    const taken = take(source)
    const bytes = contents(leader, taken)
    const state = mustExist(bytes[0], 'state')
    state[40] = (state[40] ?? 0) ^ 1
    const { rig, checkpoints } = aFollower('damaged')
    fetchAll(rig, taken.manifest, bytes)
    expect(install(rig, checkpoints)).toMatchObject({ checkpoint: undefined, note: expect.stringContaining('damaged') as string })
    expect(rig.open().log.lastId).toEqual({ term: 2, index: 30 })
  })

  it('whose rows are not the state that it names is thrown away, and the node keeps its own log', () => {
    const source = aLeader('another state')
    const taken = take(source)
    const { rig, checkpoints } = aFollower('another state')
    fetchAll(rig, taken.manifest, contents(source.rig, taken))
    const installed = install(rig, checkpoints, 'its rows have another digest')
    expect(installed).toMatchObject({ checkpoint: undefined, note: expect.stringContaining('(its rows have another digest)') as string })
    expect(rig.open().log.lastId).toEqual({ term: 2, index: 30 })
    expect(checkpoints.hasDurable).toBe(false)
    expect(install(rig, checkpoints)).toBeUndefined()
  })

  it('whose segments have no header that can be read is thrown away, and the node keeps its own log', () => {
    const source = aLeader('headless')
    const taken = take(source)
    const bytes = contents(source.rig, taken)
    bytes.at(-1)?.fill(7, 0, 512)
    const { rig, checkpoints } = aFollower('headless')
    fetchAll(rig, taken.manifest, bytes)
    expect(install(rig, checkpoints)).toMatchObject({ checkpoint: undefined, note: expect.stringContaining('damaged') as string })
    expect(rig.open().log.lastId).toEqual({ term: 2, index: 30 })
  })

  it('whose queue index does not reach its last entry is thrown away', () => {
    const source = aLeader('no rows')
    const taken = take(source)
    const chunk = encodeOpenHeader(1, 0)
    const [state, ...log] = taken.manifest.files
    const index = { kind: 'index' as const, name: '000000000001.open', bytes: chunk.length, tag: 'one' }
    const manifest = { ...taken.manifest, files: [mustExist(state, 'state'), index, ...log] }
    const [rowsOf, ...segments] = contents(source.rig, taken)
    const { rig, checkpoints } = aFollower('no rows')
    fetchAll(rig, manifest, [mustExist(rowsOf, 'state'), chunk, ...segments])
    expect(install(rig, checkpoints)).toMatchObject({ checkpoint: undefined, note: expect.stringContaining('damaged') as string })
    expect(rig.open().log.lastId).toEqual({ term: 2, index: 30 })
  })
})

describe('a power cut after any disk operation', () => {
  it('of fetching and installing leaves the old log or the new one, never a mixture, and a second try succeeds', () => {
    const source = aLeader('crashes')
    const { rig: leader, opened } = source
    const taken = take(source)
    const bytes = contents(leader, taken)
    for (let operation = 1; ; operation++) {
      const { rig, checkpoints } = aFollower(`crash/${operation}`)
      rig.disk.crashAfter(rig.disk.operations + operation)
      let hasCrashed = false
      try {
        fetchAll(rig, taken.manifest, bytes)
        install(rig, checkpoints)
      } catch (error) {
        if (rig.disk.isInUse) throw error
        hasCrashed = true
      }
      rig.cutPower()
      checkpoints.losePower()
      rig.disk.crashAfter(Infinity)
      const wasInstalled = install(rig, checkpoints) !== undefined
      const { lastId } = rig.open().log
      if (lastId.index !== 90) {
        expect(wasInstalled).toBe(false)
        expect(lastId).toEqual({ term: 2, index: 30 })
        fetchAll(rig, taken.manifest, bytes)
        install(rig, checkpoints)
      }
      checkInstalled(rig, opened)
      if (!hasCrashed) {
        expect(operation).toBeGreaterThan(60)
        return
      }
    }
  })

  it('of installing, and a state that has rotted then, leaves the old log or the new one, never a mixture', () => {
    const source = aLeader('crashes and rot')
    const taken = take(source)
    const bytes = contents(source.rig, taken)
    const ends = new Set<number>()
    for (let operation = 1; ; operation++) {
      const { rig, checkpoints } = aFollower(`crash and rot/${operation}`)
      fetchAll(rig, taken.manifest, bytes)
      rig.disk.crashAfter(rig.disk.operations + operation)
      let hasCrashed = false
      try {
        install(rig, checkpoints)
      } catch (error) {
        if (rig.disk.isInUse) throw error
        hasCrashed = true
      }
      rig.cutPower()
      checkpoints.losePower()
      rig.disk.crashAfter(Infinity)
      const state = `${rigDirectory}/incoming/state`
      if (rig.disk.files().includes(state)) rig.disk.flipBit(state, 40, 0)
      install(rig, checkpoints)
      const { index } = rig.open().log.lastId
      ends.add(index)
      if (!hasCrashed) break
    }
    expect([...ends].sort()).toEqual([30, 90])
  })

  it('of installing, and a segment whose header has rotted then, is told with what helps: what is here is not to be thrown away by hand', () => {
    const source = aLeader('crashes and a header')
    const taken = take(source)
    const bytes = contents(source.rig, taken)
    let refusals = 0
    for (let operation = 1; ; operation++) {
      const { rig, checkpoints } = aFollower(`crash and header/${operation}`)
      fetchAll(rig, taken.manifest, bytes)
      rig.disk.crashAfter(rig.disk.operations + operation)
      let hasCrashed = false
      try {
        install(rig, checkpoints)
      } catch (error) {
        if (rig.disk.isInUse) throw error
        hasCrashed = true
      }
      if (!hasCrashed) break
      rig.cutPower()
      checkpoints.losePower()
      rig.disk.crashAfter(Infinity)
      const waiting = rig.disk.files().filter(path => path.includes('/incoming/log/'))
      const isBegun = waiting.length < taken.manifest.files.filter(({ kind }) => kind === 'log').length
      const path = waiting.at(-1)
      if (!isBegun || path === undefined) continue
      for (const position of [20, 276]) rig.disk.flipBit(path, position, 1)
      // At every start the same: nothing is lost by trying again.
      for (let starts = 0; starts < 2; starts++) {
        expect(() => install(rig, checkpoints)).toThrow(/its header .*replace this member, with an empty directory/)
        expect(() => install(rig, checkpoints)).not.toThrow(/remove incoming/)
        refusals++
      }
      expect(rig.disk.files()).toContain(path)
    }
    expect(refusals).toBeGreaterThan(1)
  })

  it('of taking leaves no snapshot or a whole one', () => {
    for (let operation = 1; ; operation++) {
      const source = aLeader(`taking/${operation}`)
      const { rig } = source
      rig.disk.crashAfter(rig.disk.operations + operation)
      let hasCrashed = false
      let taken: TakenSnapshot | undefined
      try {
        taken = take(source)
      } catch (error) {
        if (rig.disk.isInUse) throw error
        hasCrashed = true
      }
      rig.cutPower()
      rig.disk.crashAfter(Infinity)
      const { disk } = rig.openOptions()
      const found = findSnapshot(disk, snapshots)
      if (found !== undefined) expect(readWhole(disk, `${found.directory}/state`)).toHaveLength(found.manifest.files[0]?.bytes ?? 0)
      if (!hasCrashed) {
        expect(found).toEqual(mustExist(taken, 'taken'))
        return
      }
    }
  })
})

describe('formats', () => {
  const manifest: SnapshotManifest = {
    format: 1,
    term: 2,
    index: 7,
    lastWallMs: 9,
    digest,
    membership: '',
    files: [{ kind: 'state', name: 'state', bytes: 3, tag: 't' }],
  }

  it('a manifest comes back as it was written, and is refused with any bit flipped', () => {
    const bytes = encodeManifest(manifest)
    expect(decodeManifest(bytes)).toEqual(manifest)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(decodeManifest(flipped)).toBeUndefined()
    }
  })

  it.each(['', '7', '7:', ':e30=', '7:{}', 'x:e30='])('a manifest whose membership is %o is refused, unless there is none', text => {
    const bytes = encodeManifest({ ...manifest, membership: text })
    expect(decodeManifest(bytes) === undefined).toBe(text !== '')
  })

  it.each(['../../etc/passwd', 'x.log', ''])('a manifest that names %o is refused', name => {
    const files = [...manifest.files, { kind: 'log' as const, name, bytes: 1, tag: '' }]
    expect(decodeManifest(encodeManifest({ ...manifest, files }))).toBeUndefined()
  })

  it('rows come back as they were written, and are refused with any bit flipped or cut', () => {
    const rig = new StorageRig('rows')
    const { disk } = rig.openOptions()
    disk.makeDirectory('/rows')
    const file = disk.open('/rows/file', { create: true })
    const bytes = encodeRows(rows.slice(0, 3))
    file.writeSync(bytes, 0)
    expect(readRows(file, bytes.length)?.map(({ key }) => [...key])).toEqual(rows.slice(0, 3).map(({ key }) => [...key]))
    for (let length = 1; length < bytes.length; length++) expect(readRows(file, length)).toBeUndefined()
    for (let bit = 0; bit < bytes.length * 8; bit += 5) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      file.writeSync(flipped, 0)
      expect(readRows(file, bytes.length)).toBeUndefined()
    }
  })
})
