/** Taking, fetching and installing a snapshot on simulated disks: with what must be refused; power cuts are in snapshot-crash.test.ts. */
import { describe, expect, it } from 'vitest'
import { encodeMembership, firstMembership } from '../../raft/index.ts'
import type { LogIndex, NodeId } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import type { CheckpointWrite } from '../../src/storage/checkpoint-codec.ts'
import { encodeOpenHeader } from '../../src/storage/open-chunk.ts'
import { noteParted, readParted } from '../../src/storage/parted.ts'
import { installSnapshot } from '../../src/storage/snapshot/install.ts'
import { decodeManifest, encodeManifest } from '../../src/storage/snapshot/manifest.ts'
import type { SnapshotManifest } from '../../src/storage/snapshot/manifest.ts'
import { encodeRows, readRows } from '../../src/storage/snapshot/state-file.ts'
import { findSnapshot } from '../../src/storage/snapshot/take-snapshot.ts'
import { append, rigDirectory, rigIdentity, StorageRig } from './rig.ts'
import { aFollower, aLeader, checkInstalled, contents, digest, fetchAll, install, rows, snapshots, take } from './snapshot-rig.ts'

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

  it('that takes the place of an earlier one removes that, and does not wait for the system to do so', () => {
    const source = aLeader('another')
    take(source)
    const waitedFor: string[] = []
    const disk = { ...source.disk, remove: (path: string) => waitedFor.push(path) }
    const { directory } = take({ ...source, disk }, 95)
    expect(source.rig.disk.files().filter(path => path.startsWith(snapshots))).toEqual([`${directory}/manifest`, `${directory}/state`])
    expect(waitedFor).toEqual([])
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
