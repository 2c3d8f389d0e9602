/** The connections of Raft nodes: what tells a dead process from a broken wire, who may come in, what is bounded, what a silent disk does. */
import { describe, expect, it } from 'vitest'
import type { ProposeOutcome } from '../../raft/index.ts'
import { EntryKind, nodeId } from '../../raft/index.ts'
import { frameForTest, helloForTest } from './raft-wire.ts'
import { MemoryDisk } from './memory-log.ts'
import type { Member } from './raft-group.ts'
import { RaftGroup, bodyOf } from './raft-group.ts'

function deathsTold(group: RaftGroup, sinceMs = 0): string[] {
  return group.trace
    .filter(({ atMs, event }) => event.kind === 'peerDied' && atMs >= sinceMs)
    .map(({ who, event }) => `${who} says ${event.kind === 'peerDied' ? event.peer : 0}`)
    .sort()
}

function settled(
  seed: string,
  options: Partial<ConstructorParameters<typeof RaftGroup>[0]> = {},
): { group: RaftGroup; leader: Member; followers: Member[] } {
  const group = new RaftGroup({ seed, ...options })
  const leader = group.awaitLeader()
  group.run(500)
  return { group, leader, followers: group.members.filter(member => member !== leader) }
}

/** Dials a node's peer port from a host that is nobody's, says something, and reports how it ended. */
function stranger(
  group: RaftGroup,
  target: Member,
  bytes: Uint8Array | undefined,
): { closes: string[]; heard: Buffer[]; say(bytes: Uint8Array): void } {
  const closes: string[] = []
  const heard: Buffer[] = []
  const process = group.scheduler.newProcess('stranger')
  const connection = group.network.forProcess(process, 'stranger').dial(
    { host: target.host, port: 7_000 },
    {
      onOpen: () => {
        if (bytes !== undefined) connection.write([bytes])
      },
      onData: chunk => heard.push(Buffer.from(chunk)),
      onClose: reason => closes.push(reason),
    },
  )
  return {
    closes,
    heard,
    say: more => {
      connection.write([more])
    },
  }
}

describe('the links of a Raft node', () => {
  it('tell the death of a process to both survivors, once', () => {
    const { group, leader, followers } = settled('killed')
    const sinceMs = group.scheduler.nowMs
    group.kill(leader.id)
    group.run(3_000)
    expect(deathsTold(group, sinceMs)).toEqual(followers.map(({ id }) => `${id} says ${leader.id}`).sort())
  })

  it('tell a death too when the process is back before anybody has looked', () => {
    const { group, leader, followers } = settled('back at once')
    const sinceMs = group.scheduler.nowMs
    group.kill(leader.id)
    group.start(leader.id)
    group.run(1_000)
    expect(deathsTold(group, sinceMs)).toEqual(followers.map(({ id }) => `${id} says ${leader.id}`).sort())
    group.run(2_000)
    expect(group.members.every(({ node }) => node.status().links.every(({ control, data }) => control === 'open' && data === 'open'))).toBe(
      true,
    )
  })

  it('tell no death after a reset, a pause, a partition or the loss of a whole host', () => {
    const { group, leader, followers } = settled('alive')
    const sinceMs = group.scheduler.nowMs
    for (const { host } of followers) group.network.resetConnections(leader.host, host)
    group.run(1_000)
    leader.process.pause()
    for (const { host } of followers) group.network.resetConnections(leader.host, host)
    group.run(4_000)
    group.scheduler.resume(leader.process)
    group.run(2_000)
    group.network.partition(
      [leader.host],
      followers.map(({ host }) => host),
    )
    group.run(8_000)
    group.network.heal()
    group.run(2_000)
    group.losePower(leader.id)
    group.run(10_000)
    expect(deathsTold(group, sinceMs)).toEqual([])
  })

  it('are both there when one is: who is greeted by a peer does not wait with a try of its own (seed 36006675)', () => {
    for (const seed of ['one', 'two', 'three', 'four']) {
      const { group, leader, followers } = settled(`both ${seed}`)
      const [away] = followers.map(({ id }) => id)
      if (away === undefined) throw new Error('no follower')
      group.kill(away)
      group.run(10_000)
      group.start(away)
      const links = (): string[] => leader.node.status().links.flatMap(({ peer, control, data }) => (peer === away ? [control, data] : []))
      expect(group.run(2_000, () => links().includes('open'))).toBe(true)
      group.run(20)
      expect(links()).toEqual(['open', 'open'])
    }
  })

  it('are back within two seconds after a partition of half a minute', () => {
    const { group, leader, followers } = settled('healed')
    group.network.partition(
      [leader.host],
      followers.map(({ host }) => host),
    )
    group.run(30_000)
    expect(leader.node.status().links.every(({ control, data }) => control === 'closed' && data === 'closed')).toBe(true)
    group.network.heal()
    expect(group.run(2_000, () => followers.every(({ id }) => leader.node.isConnectedTo(id)))).toBe(true)
    group.run(500)
    expect(leader.node.leaderId).toBe(group.leader?.id)
  })

  it('close on whoever is no peer, at once and without effect', () => {
    const { group, leader } = settled('strangers')
    const term = leader.node.term
    const hello = {
      clusterName: 'test',
      node: 2,
      incarnation: 1,
      featureLevel: 1,
      channel: 'control' as const,
      targetNode: leader.id as number,
    }
    const speeches: Uint8Array[] = [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
      new Uint8Array(100),
      frameForTest(18, new Uint8Array([8, 99])),
      helloForTest({ ...hello, clusterName: 'other' }),
      helloForTest({ ...hello, node: 9 }),
      helloForTest({ ...hello, node: leader.id }),
      helloForTest({ ...hello, targetNode: 77 }),
    ]
    for (const bytes of speeches) {
      const { closes } = stranger(group, leader, bytes)
      group.run(20)
      expect(closes).toEqual(['ended'])
    }
    const silent = stranger(group, leader, undefined)
    group.run(1_000)
    expect(silent.closes).toEqual([])
    group.run(1_500)
    expect(silent.closes).toEqual(['ended'])
    expect(group.leader).toBe(leader)
    expect(leader.node.term).toBe(term)
    expect(leader.node.status().links.every(({ control, data }) => control === 'open' && data === 'open')).toBe(true)
  })

  it('do not take the word of an earlier process while the present one is connected', () => {
    const { group, leader, followers } = settled('late hello')
    const dialler = group.members.find(member => member.id === 2) ?? leader
    group.kill(1 as typeof leader.id)
    group.run(2_000)
    group.start(1 as typeof leader.id)
    expect(group.run(5_000, () => dialler.node.isConnectedTo(nodeId(1)))).toBe(true)
    group.run(1_000)
    expect(followers).toHaveLength(2)
    const sinceMs = group.scheduler.nowMs
    const { incarnation } = dialler.node.status().links.find(link => link.peer === 1) ?? { incarnation: 0 }
    expect(incarnation).toBeGreaterThan(1)
    const hello = { clusterName: 'test', node: 1, incarnation: 1, featureLevel: 1, channel: 'control' as const, targetNode: 2 }
    const { closes } = stranger(group, dialler, helloForTest(hello))
    group.run(100)
    expect(closes).toEqual(['ended'])
    expect(deathsTold(group, sinceMs)).toEqual([])
    expect(dialler.node.status().links.every(({ control, data }) => control === 'open' && data === 'open')).toBe(true)
  })

  it('tell their user that the old one is gone when another takes its place: what was on it may be lost', () => {
    const { group, leader } = settled('replaced')
    const taker = group.members.find(member => member.id === 1) ?? leader
    const { incarnation = 0 } = taker.node.status().links.find(link => link.peer === 2) ?? {}
    const before = taker.links.length
    stranger(group, taker, helloForTest({ clusterName: 'test', node: 2, incarnation, channel: 'data', targetNode: 1 }))
    group.run(100)
    expect(taker.links.slice(before, before + 2)).toEqual(['2 is gone', '2 is there'])
  })

  it('are closed on a frame that does not end, though bytes of it come all the time (seed 540099)', () => {
    const { group, leader } = settled('endless frame')
    const target = group.members.find(member => member.id === 1) ?? leader
    const { incarnation = 0 } = target.node.status().links.find(link => link.peer === 2) ?? {}
    group.network.partition([target.host], [group.member(nodeId(2)).host])
    const peer = stranger(group, target, helloForTest({ clusterName: 'test', node: 2, incarnation, channel: 'data', targetNode: 1 }))
    group.run(100)
    const begin = new Uint8Array(1_000)
    new DataView(begin.buffer).setUint32(0, 1_000_000, true)
    peer.say(begin)
    for (let i = 0; i < 60; i++) {
      group.run(100)
      if (i < 28) expect(peer.closes).toEqual([])
      if (peer.closes.length === 0) peer.say(new Uint8Array(100))
    }
    expect(peer.closes).toHaveLength(1)
  })

  it('stay few, however many strangers knock', () => {
    const { group, leader } = settled('crowd')
    const crowd = Array.from({ length: 100 }, () => stranger(group, leader, undefined))
    group.run(50)
    expect(crowd.filter(({ closes }) => closes.length === 0).length).toBe(32)
    group.run(3_000)
    expect(crowd.every(({ closes }) => closes.length === 1)).toBe(true)
  })

  it('carry application frames in order, and refuse them when the peer reads no more', () => {
    const { group, leader, followers } = settled('frames', { config: { inflightBytesMax: 100_000, sliceBytesMax: 50_000 } })
    const peer = followers[0] ?? leader
    for (let i = 0; i < 200; i++) expect(leader.node.sendToPeer(peer.id, [Buffer.from(`frame ${i}`)])).toBe(true)
    group.run(50)
    expect(peer.frames).toEqual(Array.from({ length: 200 }, (_, i) => ({ from: leader.id, text: `frame ${i}` })))
    peer.process.pause()
    const large = Buffer.alloc(50_000)
    let sent = 0
    while (sent < 1_000 && leader.node.sendToPeer(peer.id, [large])) {
      sent++
      group.run(1)
    }
    // What the kernels swallow, and four windows.
    expect(sent * large.length).toBeLessThan(1_048_576 + 4 * 100_000 + large.length)
    expect(leader.node.sendToPeer(nodeId(9), [large])).toBe(false)
  })
})

describe('a Raft node', () => {
  it('falls silent when its disk fails: no answer leaves it, its users are told, the others go on', () => {
    const disks: MemoryDisk[] = []
    const { group, leader } = settled('bad disk', {
      disk: ({ scheduler }) => {
        const disk = new MemoryDisk(scheduler, () => 0.5)
        disks.push(disk)
        return disk
      },
    })
    const outcomes: ProposeOutcome[] = []
    group.propose(leader, 'before', outcome => outcomes.push(outcome))
    group.run(100)
    const disk = disks[leader.id - 1]
    if (disk === undefined) throw new Error('no disk')
    disk.failure = new Error('EIO')
    const failedMs = group.scheduler.nowMs
    group.propose(leader, 'lost', outcome => outcomes.push(outcome))
    group.run(5)
    group.propose(leader, 'refused', outcome => outcomes.push(outcome))
    group.run(1)
    expect(leader.fatal?.message).toBe('EIO')
    expect(leader.node.status().isFailed).toBe(true)
    expect(group.propose(leader, 'too late')).toBe('storageFailed')
    expect(outcomes.map(({ kind }) => kind)).toContain('unknown')
    expect(outcomes.length).toBeGreaterThanOrEqual(2)
    const rest = group.members.filter(member => member !== leader)
    group.run(2_000, () => rest.some(({ node }) => node.role === 'leader'))
    expect(group.scheduler.nowMs - failedMs).toBeLessThan(250)
  })

  it('gathers what is proposed in one turn into one proposal and one flush', () => {
    const { group, leader } = settled('gathers')
    const before = leader.node.status().metrics
    for (let i = 0; i < 1_000; i++) group.propose(leader, `entry ${i}`)
    group.run(100)
    const { metrics } = leader.node.status()
    expect(metrics.entriesApplied - before.entriesApplied).toBe(1_000)
    expect(metrics.proposals - before.proposals).toBe(1)
    expect(metrics.flushes - before.flushes).toBe(1)
  })

  it('refuses at once what it can not take: not leading, or too much uncommitted', () => {
    const { group, leader, followers } = settled('refuses', { config: { uncommittedBytesMax: 10_000 } })
    expect(group.propose(followers[0] ?? leader, 'x')).toBe('notLeader')
    group.network.partition(
      [leader.host],
      followers.map(({ host }) => host),
    )
    let taken = 0
    while (group.propose(leader, 'x'.repeat(1_000)) === undefined) taken++
    expect(taken).toBe(9)
    expect(group.propose(leader, 'x'.repeat(1_000))).toBe('busy')
  })

  it('tells all that one asks at night in one status: cursors with terms, epochs, members, peers, pools, refusals', () => {
    const { group, leader, followers } = settled('status')
    group.propose(leader, 'x'.repeat(500))
    group.run(200)
    const { term } = leader.node
    const last = leader.node.commitIndex
    const at = { term, index: last }
    const status = leader.node.status()
    expect(status).toMatchObject({
      role: 'leader',
      cursors: { purged: { term: 0, index: 0 }, applied: at, commit: at, durable: at, last: at },
      // Behind the first two entries the members' directories were written down, two of them as they connected.
      committedMembershipIndex: 4,
      sinceLeaderMs: undefined,
      failure: undefined,
      damage: undefined,
      readsOpen: 0,
      messagesHeld: 0,
    })
    expect(status.epochs.durable).toBe(status.epochs.taken)
    expect(status.epochs.hardState).toBeGreaterThan(0)
    expect(status.peers.map(({ id, state, durableIndex, lagBytes }) => ({ id, state, durableIndex, lagBytes }))).toEqual(
      followers.map(({ id }) => ({ id, state: 'replicate', durableIndex: last, lagBytes: 0 })),
    )
    expect(status.pools.map(({ pool, bytes, refused }) => ({ pool, bytes, refused }))).toEqual(
      ['unwritten', 'uncommitted', 'unapplied'].map(pool => ({ pool, bytes: 0, refused: 0 })),
    )
    const [follower = leader] = followers
    const sinceMs = follower.node.status().sinceLeaderMs ?? Infinity
    expect(sinceMs).toBeLessThan(100)
    follower.node.core.step({ kind: 'propose', nowMs: 0, ticket: 9, entryKind: EntryKind.data, count: 1, bytes: 1 })
    group.network.partition(
      [follower.host],
      [leader, ...followers].map(({ host }) => host).filter(host => host !== follower.host),
    )
    group.propose(leader, 'y'.repeat(5_000))
    group.run(150)
    expect(leader.node.status().peers.find(({ id }) => id === follower.id)?.lagBytes).toBeGreaterThan(5_000)
    group.run(1_000)
    expect(follower.node.status().refusals.map(({ code }) => code)).toContain('R-19-not-leader')
  })

  it('says unknown about what it had appended when it loses the leadership, and never twice', () => {
    const { group, leader, followers } = settled('unknown')
    group.network.partition(
      [leader.host],
      followers.map(({ host }) => host),
    )
    const outcomes: ProposeOutcome[] = []
    leader.node.propose(EntryKind.data, [bodyOf('a'), bodyOf('b')], outcome => outcomes.push(outcome))
    group.run(2_000)
    expect(outcomes).toEqual([{ kind: 'unknown', cause: 'leadershipLost' }])
    group.network.heal()
    group.run(3_000)
    expect(leader.applied).toEqual([])
    expect(outcomes.length).toBe(1)
  })

  it('drops its connections unread after being away for more than ten seconds, and refuses what had waited', () => {
    const { group, leader, followers } = settled('away')
    const outcomes: ProposeOutcome[] = []
    const peer = followers[0] ?? leader
    group.propose(leader, 'waited', outcome => outcomes.push(outcome))
    leader.process.pause()
    group.run(100)
    const next = group.run(2_000, () => followers.some(({ node }) => node.role === 'leader'))
    expect(next).toBe(true)
    peer.node.sendToPeer(leader.id, [Buffer.from('stale')])
    group.run(11_000)
    group.scheduler.resume(leader.process)
    group.run(2_000)
    expect(outcomes).toEqual([{ kind: 'rejected', reason: 'notLeader' }])
    expect(leader.frames).toEqual([])
    expect(leader.node.status().metrics.stalls).toBeGreaterThanOrEqual(1)
    expect(leader.node.leaderId).toBe(group.leader?.id)
    for (const { applied } of group.members) expect(applied).toEqual([])
  })

  it('keeps its leader through a pause of a follower, and that follower calls no election when it wakes', () => {
    const { group, leader, followers } = settled('sleepy follower')
    const follower = followers[0] ?? leader
    for (const pauseMs of [150, 700, 3_000, 9_000]) {
      follower.process.pause()
      group.run(pauseMs)
      group.scheduler.resume(follower.process)
      group.run(1_000)
    }
    expect(group.leader).toBe(leader)
    expect(group.elections()).toBe(1)
  })

  it('acts though it comes late to every turn: a process that is always slow still calls an election', () => {
    const { group, leader, followers } = settled('always late')
    group.kill(leader.id)
    for (let i = 0; i < 20 && followers.every(({ node }) => node.role === 'follower'); i++) {
      for (const { process } of followers) process.pause()
      group.run(150)
      for (const { process } of followers) group.scheduler.resume(process)
      // What waited runs, and asks for the next turn; before that one comes, the process is away again.
      group.scheduler.runUntil(group.scheduler.nowMs)
    }
    expect(followers.map(({ node }) => node.role)).toContain('preCandidate')
  })
})
