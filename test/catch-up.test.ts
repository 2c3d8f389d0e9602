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

/** A member that fetches 100 000 bytes in four pieces, at a disk of this kind. */
function fetching(seed: string, syncBytes = 1_000_000) {
  const scheduler = new Scheduler()
  const simulated = new SimulatedDisk({ scheduler, random: new SimRandom(seed) })
  const disk = simulated.openProcess()
  disk.makeDirectory('/data')
  const clock = new FakeClock()
  const fatal: Error[] = []
  const notes: string[] = []
  const closed: string[] = []
  let opened = 0
  let installs = 0
  let link: BulkLink | undefined
  const large = { ...manifest, files: [{ kind: 'state' as const, name: 'state', bytes: 100_000, tag: 'one' }] }
  const catchUp = new CatchUp({
    clock,
    disk,
    dataDirectory: '/data',
    source: { present: () => undefined, read: () => 'gone' },
    raft: {
      openBulk: () => {
        opened++
        link = { peer: leader, isOpen: true, waitingBytes: 0, close: reason => void closed.push(reason) }
        return link
      },
      sendBulk: () => true,
      judgeSnapshot: () => 'install',
      snapshotHeld: () => undefined,
    },
    wantsState: () => false,
    replacesFrom: () => undefined,
    atLeast: () => 0,
    giverFor: () => leader,
    bytesPerSecond: 1_000_000,
    pieceBytes: 25_000,
    syncBytes,
    install: () => (installs += 1),
    note: sentence => notes.push(sentence),
    fatal: error => fatal.push(error),
  })
  const frame = (header: BulkHeader, bytes: Uint8Array): void => {
    if (link !== undefined) catchUp.bulkFrame(link, Buffer.concat(encodeBulkFrame(header, bytes)))
  }
  /** The leader offers it, and tells what it consists of. */
  const offer = (): void => {
    catchUp.snapshotOffered(leader)
    if (link !== undefined) catchUp.bulkOpened(link)
    frame({ kind: 'manifest' }, encodeManifest(large))
  }
  const piece = (number: number): void => {
    const bytes = new Uint8Array(25_000).fill(7)
    frame({ kind: 'piece', index: 90, file: 0, position: number * 25_000, crc: crc32c(bytes) }, bytes)
  }
  const arrive = (): void => {
    for (let number = 0; number < 4; number++) {
      piece(number)
      scheduler.runFor(100)
    }
  }
  const gathered = (): readonly string[] => simulated.files().filter(path => path.startsWith('/data/incoming/'))
  const counts = () => ({ opened, installs })
  const hangUp = (): void => {
    if (link !== undefined) catchUp.bulkClosed(link)
  }
  return { simulated, scheduler, clock, fatal, notes, closed, offer, piece, arrive, gathered, counts, hangUp }
}

describe('a member whose disk has no room for the snapshot that it is offered', () => {
  it('goes on as what it was, gives the room back, says so once and begins anew when there is room', () => {
    const { simulated, clock, fatal, notes, closed, offer, arrive, gathered, counts } = fetching('no room')
    offer()
    simulated.leaveRoom(60_000)
    arrive()
    expect({ fatal, gathered: gathered(), closed: closed.length }).toEqual({ fatal: [], gathered: [], closed: 1 })
    expect(notes.at(-1)).toMatch(/no room for the snapshot of node 1 \(ENOSPC.*what came of it is removed, make room on this disk/)
    const told = notes.length
    // Offered all the time: tried now and then, and without a byte of it for as long as all of it has no room.
    for (let i = 0; i < 120; i++) {
      offer()
      clock.advance(300)
    }
    expect(counts().opened).toBe(4)
    expect({ fatal, gathered: gathered(), told: notes.length }).toEqual({ fatal: [], gathered: [], told })
    simulated.leaveRoom(Infinity)
    clock.advance(10_000)
    offer()
    arrive()
    expect(counts().installs).toBe(1)
  })

  it.each([
    ['open', '/incoming/progress'],
    ['write', '/incoming/progress'],
    ['open', '/incoming/state'],
    ['sync', '/incoming/state'],
    ['syncDirectory', '/incoming'],
  ] as const)('does the same when it is a %s of %s that finds none', (operation, pathPart) => {
    for (const isBegun of [false, true]) {
      const { simulated, scheduler, fatal, offer, arrive, gathered, notes } = fetching(`no room ${operation} ${pathPart}`, 40_000)
      if (isBegun) offer()
      simulated.failNext({ operation, pathPart, code: 'ENOSPC' })
      if (!isBegun) offer()
      arrive()
      scheduler.runFor(1_000)
      expect({ fatal, gathered: gathered() }).toEqual({ fatal: [], gathered: [] })
      expect(notes.at(-1)).toMatch(/no room for the snapshot/)
    }
  })

  it('is not ended either when what came can not be removed for want of room, and tries that again', () => {
    const { simulated, clock, fatal, notes, offer, arrive, gathered } = fetching('not removed')
    offer()
    simulated.leaveRoom(60_000)
    simulated.failNext({ operation: 'remove', pathPart: '/incoming/', code: 'ENOSPC' })
    arrive()
    expect(notes.at(-1)).toMatch(/can't be removed yet \(ENOSPC: remove/)
    expect(gathered()).not.toEqual([])
    clock.advance(10_000)
    offer()
    expect({ fatal, gathered: gathered() }).toEqual({ fatal: [], gathered: [] })
  })

  it('leaves no record of progress of a fetch that had been given up with a write under way: it would tell of what was removed', () => {
    for (let afterMs = 0; afterMs < 4; afterMs += 0.05) {
      const { simulated, scheduler, fatal, offer, piece, gathered, counts, hangUp } = fetching('late record', 20_000)
      offer()
      for (const number of [0, 1, 2, 3]) {
        piece(number)
        scheduler.runFor(number < 3 ? 100 : afterMs)
      }
      hangUp()
      simulated.leaveRoom(24_000)
      offer()
      scheduler.runFor(1_000)
      // All of it may have been there, and on record, before the room was gone.
      const left = counts().installs > 0 ? [] : gathered()
      expect({ fatal, left }, `${afterMs} ms`).toEqual({ fatal: [], left: [] })
    }
  })
})

describe('a member whose disk is broken', () => {
  it.each([
    ['write', '/incoming/state'],
    ['sync', '/incoming/state'],
    ['open', '/incoming/state'],
    ['write', '/incoming/progress'],
  ] as const)('is ended by a %s of %s that fails, with a sentence that says what to do', (operation, pathPart) => {
    const { simulated, scheduler, fatal, offer, arrive } = fetching(`broken ${operation} ${pathPart}`, 40_000)
    offer()
    simulated.failNext({ operation, pathPart, code: 'EIO' })
    arrive()
    scheduler.runFor(1_000)
    expect(fatal.map(({ name }) => name)).toEqual(['StorageError'])
    expect(fatal[0]?.message).toMatch(
      /^\/data\/incoming: writing the snapshot of node 1 failed \(EIO.*goes silent and stops; look at its disk/,
    )
  })

  it('so that it can not give back the room of a snapshot is ended too', () => {
    const { simulated, fatal, offer, arrive } = fetching('broken remove')
    offer()
    simulated.leaveRoom(60_000)
    simulated.failNext({ operation: 'remove', pathPart: '/incoming/', code: 'EIO' })
    arrive()
    expect(fatal.map(({ message }) => message)).toEqual([
      expect.stringMatching(/removing what came of a snapshot failed \(EIO.*look at its disk/),
    ])
  })
})
