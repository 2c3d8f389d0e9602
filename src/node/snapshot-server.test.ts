import { describe, expect, it } from 'vitest'
import type { BulkLink, NodeId } from '../../raft/index.ts'
import { FakeClock } from '../broker/testing/fake-clock.ts'
import { crc32c } from '../platform/bytes.ts'
import { decodeManifest } from '../storage/snapshot/manifest.ts'
import type { SnapshotManifest } from '../storage/snapshot/manifest.ts'
import { decodeBulkFrame, type BulkHeader, type ReadHeader } from './bulk-frame.ts'
import { readsMax, SnapshotServer } from './snapshot-server.ts'

const pieceBytes = 1_000
const digest = { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } }
const files = [{ kind: 'state' as const, name: 'state', bytes: 1_000_000, tag: 'one' }]
const manifest: SnapshotManifest = { format: 1, term: 3, index: 90, lastWallMs: 5, digest, membership: '', files }

interface Sent {
  readonly atMs: number
  readonly to: BulkLink
  readonly header: BulkHeader
  readonly payload: Uint8Array
}

/** A server of 10 000 bytes a second: a piece takes 100 ms. The snapshot is there unless told otherwise. */
function aServer(taken: 'taken' | 'beingTaken' | 'gone' = 'taken'): { clock: FakeClock; server: SnapshotServer; sent: Sent[] } {
  const clock = new FakeClock()
  const startMs = clock.nowMs()
  const sent: Sent[] = []
  const source = {
    present: () => (taken === 'taken' ? { manifest, directory: '' } : undefined),
    read: (_index: number, file: number, position: number, bytes: number) =>
      taken === 'gone' ? ('gone' as const) : new Uint8Array(bytes).fill(file + position / pieceBytes),
  }
  const send = (to: BulkLink, [head = new Uint8Array(), payload = new Uint8Array()]: readonly Uint8Array[]): void => {
    const frame = decodeBulkFrame(Buffer.concat([head, payload]))
    if (frame !== undefined) sent.push({ atMs: clock.nowMs() - startMs, to, ...frame })
  }
  return { clock, sent, server: new SnapshotServer({ clock, source, bytesPerSecond: 10_000, pieceBytes, send }) }
}

function aLink(peer: number): BulkLink & { isOpen: boolean } {
  return { peer: peer as NodeId, isOpen: true, waitingBytes: 0, close: () => undefined }
}

const read = (n: number, bytes = pieceBytes): ReadHeader => ({ kind: 'read', index: 90, file: 0, position: n * pieceBytes, bytes })
const positions = (sent: readonly Sent[]): number[] =>
  sent.map(({ header }) => (header.kind === 'piece' ? header.position / pieceBytes : -1))

describe('who serves a snapshot', () => {
  it('sends the manifest, or says that it is being taken', () => {
    const link = aLink(2)
    const ready = aServer()
    ready.server.onAsk(link)
    expect(ready.sent.map(({ header }) => header)).toEqual([{ kind: 'manifest' }])
    expect(decodeManifest(ready.sent[0]?.payload ?? new Uint8Array())).toEqual(manifest)
    const notYet = aServer('beingTaken')
    notYet.server.onAsk(link)
    expect(notYet.sent.map(({ header }) => header)).toEqual([{ kind: 'wait' }])
  })

  it('sends pieces with their checksums in the order in which they were asked for, one for each 100 ms that its rate allows', () => {
    const { clock, server, sent } = aServer()
    const link = aLink(2)
    for (let n = 0; n < 5; n++) server.onRead(link, read(n))
    clock.advance(1_000)
    expect(sent.map(({ atMs }) => atMs)).toEqual([0, 100, 200, 300, 400])
    expect(positions(sent)).toEqual([0, 1, 2, 3, 4])
    for (const { header, payload } of sent) expect(header).toMatchObject({ kind: 'piece', index: 90, file: 0, crc: crc32c(payload) })
  })

  it('shares its rate among all who fetch, and saves up nothing while nobody does', () => {
    const { clock, server, sent } = aServer()
    clock.advance(60_000)
    for (let n = 0; n < 3; n++) for (const link of [aLink(2), aLink(3)]) server.onRead(link, read(n))
    clock.advance(1_000)
    expect(sent.map(({ atMs }) => atMs - 60_000)).toEqual([0, 100, 200, 300, 400, 500])
    expect(sent.map(({ to }) => to.peer)).toEqual([2, 3, 2, 3, 2, 3])
  })

  it('sends a piece that is asked for twice once, and once more when it is asked for later', () => {
    const { clock, server, sent } = aServer()
    const link = aLink(2)
    for (const n of [0, 1, 1, 2, 1]) server.onRead(link, read(n))
    clock.advance(1_000)
    expect(positions(sent)).toEqual([0, 1, 2])
    server.onRead(link, read(1))
    expect(positions(sent)).toEqual([0, 1, 2, 1])
  })

  it('spends nothing on who has gone', () => {
    const { clock, server, sent } = aServer()
    const [gone, here] = [aLink(2), aLink(3)]
    server.onRead(here, read(0))
    for (let n = 1; n < 9; n++) server.onRead(gone, read(n))
    server.onRead(here, read(1))
    gone.isOpen = false
    clock.advance(1_000)
    expect(sent.map(({ atMs, to }) => [atMs, to.peer])).toEqual([
      [0, 3],
      [100, 3],
    ])
  })

  it('gives nobody more than a piece at once, and lets no more than its bound wait', () => {
    const { clock, server, sent } = aServer()
    const link = aLink(2)
    server.onRead(link, read(0, 50 * pieceBytes))
    expect(sent[0]?.payload).toHaveLength(pieceBytes)
    for (let n = 1; n <= readsMax + 10; n++) server.onRead(link, read(n))
    clock.advance(60_000)
    expect(sent).toHaveLength(1 + readsMax)
  })

  it('tells who reads of a snapshot that is not there any more', () => {
    const { server, sent } = aServer('gone')
    server.onRead(aLink(2), read(0))
    expect(sent.map(({ header }) => header)).toEqual([{ kind: 'gone', why: 'gone' }])
  })

  it('sends nothing after it was stopped', () => {
    const { clock, server, sent } = aServer()
    for (let n = 0; n < 3; n++) server.onRead(aLink(2), read(n))
    server.stop()
    clock.advance(1_000)
    expect(positions(sent)).toEqual([0])
  })
})
