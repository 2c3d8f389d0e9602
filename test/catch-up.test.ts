/** The half of a catch-up that fetches (src/node/catch-up.ts): which snapshots it takes, and what it says of those that it does not. */
import { describe, expect, it } from 'vitest'
import { SimulatedDisk } from '../chaos/sim/disk.ts'
import { Scheduler } from '../chaos/sim/scheduler.ts'
import { SimRandom } from '../chaos/sim/random.ts'
import type { BulkLink, EntryId, NodeId, SnapshotVerdict } from '../raft/index.ts'
import { FakeClock } from '../src/broker/testing/fake-clock.ts'
import { decodeBulkFrame, encodeBulkFrame, type BulkHeader } from '../src/node/bulk-frame.ts'
import { CatchUp } from '../src/node/catch-up.ts'
import { crc32c } from '../src/platform/bytes.ts'
import { encodeManifest, type SnapshotManifest } from '../src/storage/snapshot/manifest.ts'

const leader = 1 as NodeId
const digest = { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } }
const files = [{ kind: 'state' as const, name: 'state', bytes: 1_000, tag: 'one' }]
const manifest: SnapshotManifest = { format: 1, term: 3, index: 90, lastWallMs: 5, digest, membership: '', files }

/** A member that is offered this snapshot and of which the core says so. */
function offered(
  verdict: SnapshotVerdict | (() => SnapshotVerdict),
  wantsState = false,
  replacesFrom?: number,
  giver = leader,
): {
  asked: BulkHeader[]
  held: EntryId[]
  closed: string[]
  opened: NodeId[]
  /** All of it comes. How often it was installed. */ arrive: () => number
} {
  const scheduler = new Scheduler()
  const disk = new SimulatedDisk({ scheduler, random: new SimRandom('catch-up') }).openProcess()
  disk.makeDirectory('/data')
  const asked: BulkHeader[] = []
  const held: EntryId[] = []
  const closed: string[] = []
  const opened: NodeId[] = []
  let installs = 0
  const link: BulkLink = { peer: leader, isOpen: true, waitingBytes: 0, close: reason => void closed.push(reason) }
  const catchUp = new CatchUp({
    clock: new FakeClock(),
    disk,
    dataDirectory: '/data',
    source: { present: () => undefined, read: () => 'gone' },
    raft: {
      openBulk: peer => {
        opened.push(peer)
        return link
      },
      sendBulk: (_link, buffers) => {
        const frame = decodeBulkFrame(Buffer.concat(buffers))
        if (frame !== undefined) asked.push(frame.header)
        return true
      },
      judgeSnapshot: () => (typeof verdict === 'string' ? verdict : verdict()),
      snapshotHeld: last => void held.push(last),
    },
    wantsState: () => wantsState,
    replacesFrom: () => replacesFrom,
    atLeast: () => replacesFrom ?? 0,
    giverFor: () => giver,
    bytesPerSecond: 1_000_000,
    install: () => (installs += 1),
    note: () => undefined,
    fatal: error => {
      throw error
    },
  })
  catchUp.snapshotOffered(leader)
  catchUp.bulkOpened(link)
  catchUp.bulkFrame(link, Buffer.concat(encodeBulkFrame({ kind: 'manifest' }, encodeManifest(manifest))))
  const arrive = (): number => {
    const bytes = new Uint8Array(1_000).fill(7)
    const piece = { kind: 'piece' as const, index: manifest.index, file: 0, position: 0, crc: crc32c(bytes) }
    catchUp.bulkFrame(link, Buffer.concat(encodeBulkFrame(piece, bytes)))
    scheduler.runFor(1_000)
    return installs
  }
  return { asked, held, closed, opened, arrive }
}

const reads = (asked: readonly BulkHeader[]): number => asked.filter(({ kind }) => kind === 'read').length

describe('a member that is offered a snapshot', () => {
  it('fetches one that is to take the place of its log', () => {
    const { asked, held, closed } = offered('install')
    expect(reads(asked)).toBe(1)
    expect({ held, closed }).toEqual({ held: [], closed: [] })
  })

  it('fetches none whose end its log holds, and the leader hears of it', () => {
    const { asked, held, closed } = offered('held')
    expect(asked).toEqual([{ kind: 'ask', atLeast: 0 }])
    expect(held).toEqual([{ index: 90, term: 3 }])
    expect(closed).toEqual(['it is not needed any more'])
  })

  it('fetches the state of such a one when its log can not give that, and says nothing', () => {
    const { asked, held, closed } = offered('held', true)
    expect(reads(asked)).toBe(1)
    expect({ held, closed }).toEqual({ held: [], closed: [] })
  })

  it('leaves one that is committed here, without a word', () => {
    const { asked, held, closed } = offered('old')
    expect({ reads: reads(asked), held, closed }).toEqual({ reads: 0, held: [], closed: ['it is not needed any more'] })
  })

  it('installs it when all of it is here, unless its own log has got there meanwhile', () => {
    for (const later of ['install', 'held', 'old'] as const) {
      let verdict: SnapshotVerdict = 'install'
      const { arrive, closed } = offered(() => verdict)
      verdict = later
      expect(arrive()).toBe(later === 'install' ? 1 : 0)
      expect(closed).toEqual([later === 'install' ? 'it is whole' : 'it is not needed any more'])
    }
  })

  it('whose log has a hole that nobody fills takes one that is as far as its log was, whatever the core makes of it, and no earlier one (seed 164)', () => {
    for (const verdict of ['install', 'held', 'old'] as const) {
      expect(reads(offered(verdict, true, 90).asked)).toBe(1)
      const earlier = offered(verdict, true, 91)
      expect(reads(earlier.asked)).toBe(0)
      expect(earlier.asked[0]).toEqual({ kind: 'ask', atLeast: 91 })
      expect(earlier.held).toEqual([])
    }
  })

  it('fetches it from another node, when it has reason to', () => {
    expect(offered('install').opened).toEqual([leader])
    expect(offered('install', false, undefined, 3 as NodeId).opened).toEqual([3])
  })
})
