/**
 * Rot on one node of a group: flipped bits, zeroed, garbled, misdirected and lost pieces of its log, at rest and while it runs. The group serves, nothing
 * acknowledged is lost, and in the end every node's log holds the same bytes again, without a start that reads it as damaged.
 */
import { describe, expect, it } from 'vitest'
import { logIndex, UnreadableEntry } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { segmentHeaderBytes } from '../../src/storage/segment.ts'
import type { SimulatedDisk } from './disk.ts'
import type { Member } from './raft-group.ts'
import { RaftGroup } from './raft-group.ts'
import { SimRandom } from './random.ts'
import { recordStarts, rotRecords, rottenDisks, textsOf, write } from './rotten-disks.ts'

type Harm = 'bit' | 'zeros' | 'garbage' | 'shorten' | 'remove' | 'misdirect'

/** Harms a file of a machine whose process is dead, or (bits only) alive. */
function harm(disk: SimulatedDisk, path: string, how: Harm, random: SimRandom): string {
  const size = disk.contentOf(path)?.length ?? 0
  const position = random.integer(0, Math.max(0, size - 1))
  if (how === 'bit') {
    disk.flipBit(path, position, random.integer(0, 7))
    return `bit at byte ${position} of ${path}`
  }
  const files = disk.openProcess()
  const file = files.open(path, { create: false })
  if (how === 'zeros') file.writeSync(new Uint8Array(random.integer(1, 1_000)), position)
  if (how === 'garbage') file.writeSync(random.bytes(random.integer(1, 1_000)), position)
  if (how === 'shorten') file.truncateSync(position)
  if (how === 'remove') files.remove(path)
  if (how === 'misdirect') {
    const piece = new Uint8Array(512)
    file.readSync(piece, Math.floor(random.integer(0, size) / 512) * 512)
    file.writeSync(piece, Math.floor(position / 512) * 512)
  }
  file.syncSync()
  disk.cutPower()
  return `${how} at byte ${position} of ${path}`
}

function expectWhole(group: RaftGroup, written: readonly string[]): void {
  group.run(8_000, () => group.members.every(({ applied, node }) => node.role !== 'recovering' && applied.length === written.length))
  for (const { applied, fatal, id } of group.members) {
    expect(fatal).toBeUndefined()
    expect([id, applied]).toEqual([id, written])
  }
  group.checkLogs()
}

/** From all others, which are returned. */
function cutOff(group: RaftGroup, member: Member): readonly Member[] {
  const others = group.members.filter(other => other !== member)
  group.network.partition(
    [member.host],
    others.map(({ host }) => host),
  )
  return others
}

/** One seed: harm at rest, several times over, to one node's files. Returns what was done and seen. */
function atRest(seed: number, hows: readonly Harm[], isFileOk: (path: string) => boolean): { sawRepair: boolean; sawRecovering: boolean } {
  const random = new SimRandom(`rot at rest/${seed}`)
  const { disks, make } = rottenDisks(random.pick([3_000, 12_000, 100_000]))
  const group = new RaftGroup({ seed: `rot/${seed}`, disk: make, config: { sliceBytesMax: random.pick([500, 5_000, 1 << 20]) } })
  const victim = random.pick(group.members)
  const victimDisk = mustExist(disks[victim.id - 1], 'victim-disk')
  const story: string[] = []
  const written: string[] = []
  const more = (name: string, count: number): void => {
    const texts = textsOf(name, count, random)
    write(group, texts)
    written.splice(0, Infinity, ...mustExist(group.leader, 'leader').applied)
  }
  try {
    more('before', random.integer(5, 60))
    let sawRecovering = false
    for (let round = 0; round < 2; round++) {
      // Some rot falls into the last second, above the durable mark.
      group.run(random.pick([0, 50, 2_000]))
      if (random.chance(500_000)) group.kill(victim.id)
      else group.losePower(victim.id)
      for (let i = random.integer(1, 2); i > 0; i--) {
        const paths = victimDisk.disk.files().filter(isFileOk)
        if (paths.length > 0) story.push(harm(victimDisk.disk, random.pick(paths), random.pick(hows), random))
      }
      if (random.chance(500_000)) more(`during ${round}`, random.integer(1, 20))
      group.start(victim.id)
      sawRecovering ||= victim.node.role === 'recovering'
      more(`after ${round}`, random.integer(1, 20))
      expectWhole(group, written)
    }
    return { sawRepair: victimDisk.notes.some(note => note.includes('whole again')), sawRecovering }
  } catch (error) {
    const notes = victimDisk.notes.join('\n  ')
    throw new Error(`seed ${seed}: ${(error as Error).message}\n  harm to node ${victim.id}: ${story.join('; ')}\n  ${notes}`, {
      cause: error,
    })
  }
}

function segmentFirsts(disk: SimulatedDisk): number[] {
  const names = disk.files().filter(path => path.endsWith('.log'))
  return names.map(path => Number(path.slice('/data/log/'.length, -'.log'.length))).sort((a, b) => a - b)
}

/** Reads all that a node has; what of it has rotted. */
function unreadableOn({ node }: Member): number[] {
  const indexes = Array.from({ length: node.commitIndex }, (_, i) => i + 1)
  return indexes.filter(index => {
    try {
      node.entry(logIndex(index))
      return false
    } catch (error) {
      if (!(error instanceof UnreadableEntry)) throw error
      return true
    }
  })
}

describe('a group with one rotten disk', () => {
  it('loses nothing by one flipped bit in any file of the log', () => {
    let repairs = 0
    let recoveries = 0
    for (let seed = 0; seed < 60; seed++) {
      const { sawRepair, sawRecovering } = atRest(seed, ['bit'], path => path.includes('/log/'))
      if (sawRepair) repairs++
      if (sawRecovering) recoveries++
    }
    expect(repairs).toBeGreaterThan(8)
    expect(recoveries).toBeGreaterThan(8)
  })

  it('loses nothing by zeroed, garbled, misdirected, shortened and removed pieces of the log', () => {
    let recoveries = 0
    const hows = ['bit', 'zeros', 'garbage', 'shorten', 'remove', 'misdirect'] as const
    for (let seed = 1_000; seed < 1_060; seed++) if (atRest(seed, hows, path => path.includes('/log/')).sawRecovering) recoveries++
    expect(recoveries).toBeGreaterThan(15)
  })

  it('goes on with what is intact while it runs, and mends what a read finds, on the leader too', () => {
    let mended = 0
    for (let seed = 0; seed < 30; seed++) {
      const random = new SimRandom(`rot at work/${seed}`)
      const { disks, make } = rottenDisks(random.pick([3_000, 12_000, 100_000]))
      const group = new RaftGroup({ seed: `work/${seed}`, disk: make })
      write(group, textsOf('before', 60, random))
      const victim = random.chance(500_000) ? mustExist(group.leader, 'leader') : random.pick(group.members)
      const { disk, notes } = mustExist(disks[victim.id - 1], 'victim-disk')
      for (let i = random.integer(1, 3); i > 0; i--)
        harm(disk, random.pick(disk.files().filter(path => path.endsWith('.log'))), 'bit', random)
      const readAll = (): number[] => unreadableOn(victim)
      const elections = group.elections()
      if (readAll().length > 0) mended++
      write(group, textsOf('after', 10, random))
      // What still lies in memory is given up after a while, and only then read from the disk.
      group.run(11_000)
      for (let i = 0; i < 4 && readAll().length > 0; i++) group.run(2_000)
      expect([seed, readAll(), notes]).toEqual([seed, [], notes])
      expectWhole(group, mustExist(group.leader, 'leader').applied)
      expect(group.elections()).toBe(elections)
    }
    expect(mended).toBeGreaterThan(8)
  })

  it('starts again when its log must be cut at a place that has rotted, and is mended then: old leaders with a tail that nobody else has', () => {
    let cuts = 0
    for (let seed = 0; seed < 20; seed++) {
      const random = new SimRandom(`rot at a cut/${seed}`)
      const { disks, make } = rottenDisks(random.pick([3_000, 100_000]))
      const group = new RaftGroup({ seed: `cut/${seed}`, disk: make })
      write(group, textsOf('before', 20, random))
      const old = mustExist(group.leader, 'leader')
      const { disk } = mustExist(disks[old.id - 1], 'old-disk')
      const others = cutOff(group, old)
      const cutAt = old.log.lastId.index + 1
      // So much that what was written first is no longer in memory.
      for (const text of textsOf('never committed', 60, random)) group.propose(old, text)
      group.run(5_000, () => others.some(({ node }) => node.role === 'leader'))
      const path = disk.files().filter(name => name.endsWith('.log'))
      for (let i = 0; i < 30; i++) harm(disk, random.pick(path), 'bit', random)
      group.network.heal()
      group.run(3_000, () => old.fatal !== undefined)
      if (old.fatal !== undefined) {
        cuts++
        expect(old.fatal).toBeInstanceOf(UnreadableEntry)
        expect(old.log.lastId.index).toBeGreaterThan(cutAt)
        for (let starts = 0; old.fatal !== undefined && starts < 3; starts++) {
          group.kill(old.id)
          old.fatal = undefined
          group.start(old.id)
          group.run(5_000)
        }
      }
      // What peers know to be committed shows where the old tail ends.
      write(group, textsOf('after', 60, random))
      for (let i = 0; i < 10 && unreadableOn(old).length > 0; i++) group.run(2_000)
      expectWhole(group, mustExist(group.leader, 'leader').applied)
    }
    expect(cuts).toBeGreaterThan(3)
  })

  it('is served by a deposed leader and one more when rot lies over the place where the leader went its own way, further than the others are now', () => {
    const random = new SimRandom('rot over the parting')
    const { disks, make } = rottenDisks(100_000)
    const group = new RaftGroup({ seed: 'rot over the parting', disk: make })
    write(group, textsOf('common', 20, random))
    const old = mustExist(group.leader, 'leader')
    const { disk } = mustExist(disks[old.id - 1], 'old-disk')
    const others = cutOff(group, old)
    const parting = old.node.status().last.index
    for (const text of textsOf('never committed', 40, random)) group.propose(old, text)
    // Long enough for the durable mark.
    group.run(1_750)
    expect(old.node.status().durableIndex).toBeGreaterThan(parting + 30)
    group.kill(old.id)
    group.network.heal()
    group.awaitLeader(10_000, old)
    write(group, textsOf('kept', 10, random))
    group.run(2_000)
    group.kill(mustExist(others[0], 'other').id)
    rotRecords(disk, index => Math.abs(index - parting) < 4)
    group.start(old.id)
    expect(old.node.role).toBe('recovering')
    write(group, textsOf('after', 5, random))
    group.start(mustExist(others[0], 'other').id)
    expectWhole(group, mustExist(group.leader, 'leader').applied)
  })

  it('is mended by one whose disk has rotted too, in other records of the same block, and mends that one, while the third is down', () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new SimRandom(`rot on two/${seed}`)
      const { disks, make } = rottenDisks(40_000)
      const group = new RaftGroup({ seed: `two/${seed}`, disk: make })
      write(
        group,
        Array.from({ length: 120 }, (_, i) => `${String(i).padStart(4, '0')}:${'x'.repeat(random.integer(50, 700))}`),
      )
      group.run(3_000)
      const [one, other, third] = group.members
      const down = random.chance(500_000) ? mustExist(third, 'third') : mustExist(one, 'one')
      const up = group.members.filter(member => member !== down)
      for (const { id } of group.members) group.kill(id)
      // The first segment: sealed, with a sidecar, so that no start reads it; what is found is found in use.
      const files = up.map(({ id }) => mustExist(disks[id - 1], 'disk').disk)
      const path = mustExist(
        files[0]?.files().find(name => name.endsWith('.log')),
        'segment',
      )
      const content = mustExist(files[0]?.contentOf(path), 'content').slice()
      const starts = recordStarts(content)
      const bad = random.shuffle(starts.slice(1, -1)).slice(0, 6)
      for (const [i, start] of bad.entries()) {
        // A header on each disk, and bodies.
        const at = start + (i < 2 ? random.integer(0, 43) : random.integer(48, 90))
        mustExist(files[i % 2], 'file').flipBit(path, at, random.integer(0, 7))
      }
      for (const { id } of up) group.start(id)
      for (const member of up) unreadableOn(member)
      group.run(10_000, () => up.every(member => member.applied.length === 120))
      for (const member of up) expect([seed, bad, unreadableOn(member), member.applied.length]).toEqual([seed, bad, [], 120])
      const recordsOf = (bytes: Uint8Array | undefined): Uint8Array | undefined => bytes?.subarray(segmentHeaderBytes, starts.at(-1))
      for (const file of files) expect(recordsOf(file.contentOf(path))).toEqual(recordsOf(content))
      write(group, textsOf('after', 10, random))
      group.start(down.id)
      expectWhole(group, mustExist(other, 'other').applied)
    }
  })

  it('says so when nobody has any more what it must apply, and has the rest mended meanwhile', () => {
    const random = new SimRandom('unobtainable')
    const { disks, make } = rottenDisks(3_000)
    const group = new RaftGroup({ seed: 'unobtainable', disk: make })
    write(group, textsOf('before', 80, random))
    const victim = mustExist(group.members[0], 'victim')
    group.run(3_000)
    group.kill(victim.id)
    const { disk } = mustExist(disks[0], 'victim-disk')
    const firsts = segmentFirsts(disk)
    const early = mustExist(firsts[1], 'early-segment')
    const late = mustExist(firsts.at(-3), 'late-segment')
    // Sealed, with a sidecar: what a start does not read.
    for (const first of [early, late]) disk.flipBit(`/data/log/${String(first).padStart(20, '0')}.log`, segmentHeaderBytes + 60, 1)
    for (const { node } of group.members.slice(1)) expect(node.compactTo(logIndex(late))).toBeGreaterThan(early)
    group.start(victim.id)
    expect(victim.node.role).toBe('follower')
    group.run(5_000)
    expect(victim.node.appliedIndex).toBe(early - 1)
    expect(victim.unobtainable).toBeGreaterThanOrEqual(early)
    expect(victim.unobtainable).toBeLessThan(late)
    // The other place, found by a read, is behind that one, and does not wait for it.
    expect(unreadableOn(victim)).toContain(late)
    group.run(5_000)
    expect(unreadableOn(victim)).toContain(early)
    expect(unreadableOn(victim)).not.toContain(late)
  })

  it('says so when nobody has any more what a start has found rotten, takes no part, and knows how far its log went', () => {
    const random = new SimRandom('unobtainable at a start')
    const { disks, make } = rottenDisks(3_000)
    const group = new RaftGroup({ seed: 'unobtainable at a start', disk: make })
    write(group, textsOf('before', 80, random))
    const victim = mustExist(group.members[0], 'victim')
    group.run(3_000)
    const wentTo = mustExist(disks[0]?.opened, 'opened').log.lastId.index
    group.kill(victim.id)
    const { disk } = mustExist(disks[0], 'victim-disk')
    const firsts = segmentFirsts(disk)
    const early = mustExist(firsts[1], 'early-segment')
    const path = `/data/log/${String(early).padStart(20, '0')}`
    disk.flipBit(`${path}.log`, segmentHeaderBytes + 60, 1)
    disk.openProcess().remove(`${path}.idx`)
    for (const { node } of group.members.slice(1)) expect(node.compactTo(logIndex(mustExist(firsts.at(-3), 'late')))).toBeGreaterThan(early)
    group.start(victim.id)
    group.run(3_000)
    expect(victim.node.role).toBe('recovering')
    expect(victim.unobtainable).toBeGreaterThanOrEqual(early)
    expect(disks[0]?.opened?.repair.heldThrough).toBeGreaterThanOrEqual(wentTo)
  })

  it('believes in full again, once a leader has verified it, a log whose torn end came to light while it was mended', () => {
    const random = new SimRandom('torn behind rot')
    const { disks, make } = rottenDisks(100_000)
    const group = new RaftGroup({ seed: 'torn behind rot', disk: make })
    write(group, textsOf('before', 30, random))
    group.run(3_000)
    const victim = mustExist(group.members[0], 'victim')
    const { disk, opened } = mustExist(disks[0], 'victim-disk')
    const { name, endPosition } = mustExist(opened?.log.segments.at(-1), 'segment')
    group.kill(victim.id)
    const path = `/data/log/${name}`
    disk.flipBit(path, segmentHeaderBytes + 60, 1)
    const file = disk.openProcess().open(path, { create: false })
    file.writeSync(new Uint8Array(30).fill(7), endPosition)
    file.syncSync()
    group.start(victim.id)
    expect(victim.node.role).toBe('recovering')
    const hasTornTail = (): boolean => mustExist(disks[0]?.opened, 'opened').repair.hasTornTail
    expect(group.run(5_000, () => victim.node.role !== 'recovering' && hasTornTail())).toBe(true)
    write(group, textsOf('after', 5, random))
    group.run(3_000)
    expect([hasTornTail(), victim.node.status().isVoteConditional]).toEqual([false, false])
  })
})
