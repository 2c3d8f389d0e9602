/** The commands of a transcript: one function each. A command is a verb, words, and `key=value` pairs. */
import { mustExist } from '../../src/platform/assert.ts'
import type { RaftConfig } from '../core/config.ts'
import type { LogIndex, NodeId, Session, Term } from '../core/ids.ts'
import type { Message } from '../core/message.ts'
import type { RoleState } from '../core/role.ts'
import { makeSession } from '../core/session.ts'
import type { TestEntry } from './disk-image.ts'
import { membershipsOf, runsOf } from './disk-image.ts'
import { describeMembership, plainMember } from './members.ts'
import { entryBytes, firstWallMs } from './mini-cluster.ts'
import type { Flight, TestNode } from './mini-cluster.ts'
import { describeFlight } from './stage.ts'
import type { Stage } from './stage.ts'

class Words {
  readonly plain: readonly string[]
  readonly #pairs: ReadonlyMap<string, string>

  constructor(words: readonly string[]) {
    this.plain = words.filter(word => !word.includes('='))
    this.#pairs = new Map(words.filter(word => word.includes('=')).map(word => word.split('=', 2) as [string, string]))
  }

  text(key: string): string | undefined {
    return this.#pairs.get(key)
  }

  number(key: string, otherwise: number): number {
    return Number(this.#pairs.get(key) ?? otherwise)
  }

  has(word: string): boolean {
    return this.plain.includes(word)
  }

  /** The plain words that are numbers. */
  get numbers(): number[] {
    return this.plain.map(Number).filter(n => !Number.isNaN(n))
  }

  get settings(): Partial<RaftConfig> {
    return Object.fromEntries([...this.#pairs].map(([key, value]) => [key, Number(value)]))
  }
}

type Verb = (stage: Stage, words: Words) => void

const verbs: Readonly<Record<string, Verb>> = {
  /** `nodes 3 [tears] [spares=2] [key=value …]`: a new cluster, nobody has run yet; spare nodes run and belong to no group. */
  nodes(stage, words) {
    const { spares = 0, ...settings } = words.settings as Partial<RaftConfig> & { spares?: number }
    stage.open(words.numbers[0] ?? 3, settings, words.has('tears'), spares)
  },
  /** Delivers and syncs all; no time passes. */
  settle(stage) {
    stage.cluster.settle()
  },
  /** `run ms=500`: time passes; everything is delivered and synced at once. */
  run(stage, words) {
    stage.cluster.run(words.number('ms', 100))
  },
  /** `tick 3 ms=600`: so much later, one tick of these nodes, nothing delivered. */
  tick(stage, words) {
    stage.cluster.nowMs += words.number('ms', 0)
    for (const id of words.numbers) stage.cluster.tick(id)
  },
  campaign(stage, words) {
    const { cluster } = stage
    for (const id of words.numbers) cluster.step(cluster.node(id), { kind: 'campaign', nowMs: cluster.nowMs })
  },
  /** `transfer 1 to=2 [ms=1000]`: leader 1 is to hand over to 2. */
  transfer(stage, words) {
    const { cluster } = stage
    const giveUpMs = cluster.nowMs + words.number('ms', 1_000)
    for (const id of words.numbers) {
      cluster.step(cluster.node(id), { kind: 'transfer', nowMs: cluster.nowMs, to: words.number('to', 1) as NodeId, giveUpMs })
    }
  },
  /** `read 2 [ms=1000]`: node 2 wants to read. */
  read(stage, words) {
    for (const id of words.numbers) stage.cluster.read(id, words.number('ms', 1_000))
  },
  /** `elect 2`: campaign, and settle. */
  elect(stage, words) {
    verbs['campaign']?.(stage, words)
    stage.cluster.settle()
  },
  /** `propose 1 [count=3] [bytes=300]`. */
  propose(stage, words) {
    const count = words.number('count', 1)
    for (const id of words.numbers) stage.cluster.propose(id, count, words.number('bytes', count * entryBytes))
  },
  /** `change 1 add=4,5 remove=2`: asks node 1 to make it so. */
  change(stage, words) {
    const change = { add: list(words.text('add')).map(plainMember), remove: list(words.text('remove')) as NodeId[] }
    for (const id of words.numbers) stage.cluster.change(id, { kind: 'replace', ...change })
  },
  cancel(stage, words) {
    for (const id of words.numbers) stage.cluster.change(id, { kind: 'cancel' })
  },
  /** `move 1 member=2 to=elsewhere:1`: node 1 is told another address of node 2. */
  move(stage, words) {
    const member = { ...plainMember(words.number('member', 0)), address: words.text('to') ?? '' }
    for (const id of words.numbers) stage.cluster.change(id, { kind: 'update', member })
  },
  /** `removed 3 at=7`: a member refuses to talk to node 3. */
  removed(stage, words) {
    const { cluster } = stage
    const index = words.number('at', 0) as LogIndex
    for (const id of words.numbers) cluster.step(cluster.node(id), { kind: 'toldRemoved', nowMs: cluster.nowMs, index })
  },
  /** Which membership is in force on each node. */
  group: (stage, words) => eachNode(stage, words, node => sayGroup(stage, node)),
  /** These nodes sync only by `sync`. */
  slow: (stage, words) => eachNode(stage, words, node => (node.isSlow = true)),
  fast: (stage, words) => eachNode(stage, words, node => (node.isSlow = false)),
  sync: (stage, words) => eachNode(stage, words, node => stage.cluster.sync(node.id, words.number('count', Infinity))),
  pause: (stage, words) => eachNode(stage, words, node => (node.isPaused = true)),
  resume: (stage, words) => eachNode(stage, words, node => stage.cluster.resume(node.id)),
  /** `cut 1`: from everybody. `cut 1 2`: the link between them. */
  cut(stage, words) {
    const [a = 1, ...others] = words.numbers
    const from = others.length > 0 ? others : stage.cluster.nodes.map(node => node.id as number).filter(id => id !== a)
    for (const b of from) stage.cluster.cut(a, b)
  },
  heal(stage) {
    stage.cluster.heal()
  },
  /** `crash 1 [torn=2]`: kill -9; `torn` entries of what was on disk are lost too. */
  crash: (stage, words) => eachNode(stage, words, node => stage.cluster.crash(node.id, words.number('torn', 0))),
  /** `start 1 [withheld] [rotten=3] [applied=0]`: a vote may be forgotten; entries from 3 on can't be read, and are asked of peers; its last good checkpoint. */
  start: (stage, words) =>
    eachNode(stage, words, node => {
      if (words.has('withheld')) node.disk.isVoteWithheld = true
      if (words.text('rotten') !== undefined) node.disk.rottenFrom = words.number('rotten', 1)
      node.disk.appliedIndex = words.number('applied', node.disk.appliedIndex)
      stage.cluster.start(node.id)
    }),
  /** `mend 1`: storage has got back from peers what had rotted. */
  mend: (stage, words) =>
    eachNode(stage, words, ({ disk, id }) => {
      const { cluster } = stage
      const last = { index: disk.log.length as LogIndex, term: (disk.log.at(-1)?.term ?? 0) as Term }
      disk.rottenFrom = undefined
      const told = {
        last,
        runs: runsOf(disk.log),
        lastWallMs: disk.log.at(-1)?.wallMs ?? 0,
        hasTornTail: disk.isTornUnverified,
        isHardStateOld: true,
        memberships: membershipsOf(disk.log),
      }
      cluster.step(cluster.node(id), { kind: 'repaired', nowMs: cluster.nowMs, jitter: 0.5, ...told })
    }),
  /** `compact 1 below=4`: storage holds nothing below entry 4 any more. */
  compact: (stage, words) =>
    eachNode(stage, words, node => {
      node.disk.firstIndex = words.number('below', 1)
      stage.cluster.step(node, { kind: 'compacted', firstIndex: node.disk.firstIndex as LogIndex })
    }),
  /** `snapshot 3 from=1 [at=5] [keeps=4]`: what a node does with a snapshot of another's commit, or of entry 5, with the log from entry 4 on. */
  snapshot(stage, words) {
    const { cluster } = stage
    const [id = 1] = words.numbers
    const source = cluster.node(words.number('from', 1)).disk
    const node = cluster.node(id)
    const index = words.number('at', source.appliedIndex)
    const last = { index: index as LogIndex, term: source.log[index - 1]?.term as Term }
    const verdict = mustExist(node.core, 'snapshot-for-the-dead', id).judgeSnapshot(last)
    stage.say(`${id} judges the snapshot at ${index}/${last.term}: ${verdict}`)
    if (verdict === 'held') cluster.step(node, { kind: 'snapshotHeld', nowMs: cluster.nowMs, last })
    if (verdict !== 'install') return
    cluster.crash(id, 0)
    const { disk } = node
    disk.log = source.log.slice(0, index)
    disk.written = [...disk.log]
    disk.appliedIndex = index
    disk.firstIndex = words.number('keeps', 1)
    cluster.start(id)
  },
  /** `died 1 seen-by=2,3 [jitter=0.5]`: these see the process of 1 die. */
  died(stage, words) {
    const peer = (words.numbers[0] ?? 1) as NodeId
    for (const id of list(words.text('seen-by'))) {
      const jitter = words.number('jitter', 0)
      stage.cluster.step(stage.cluster.node(id), { kind: 'peerDied', nowMs: stage.cluster.nowMs, peer, jitter })
    }
  },
  /** The data connection between 1 and 2 breaks and is made again. */
  reconnect(stage, words) {
    const [a = 1, b = 2] = words.numbers
    const { cluster } = stage
    for (const [node, peer] of [[a, b] as const, [b, a] as const]) {
      cluster.disconnect(cluster.node(node), peer as NodeId)
      cluster.connect(cluster.node(node), cluster.node(peer))
    }
  },
  /** `deliver from=1 to=2 kind=append [count=1] [copy]`: the oldest such messages. */
  deliver(stage, words) {
    for (let left = words.number('count', 1); left > 0; left--) {
      const at = stage.cluster.inFlight.findIndex(flight => fits(flight, words))
      if (at >= 0) stage.cluster.deliver(at, words.has('copy'))
      else stage.say('nothing to deliver')
    }
  },
  /** `drop [from=] [to=] [kind=]`: all such messages. */
  drop(stage, words) {
    const { inFlight } = stage.cluster
    for (let i = inFlight.length - 1; i >= 0; i--) {
      const flight = inFlight[i]
      if (flight !== undefined && fits(flight, words)) inFlight.splice(i, 1)
    }
  },
  /** Lists what is in flight. */
  mail(stage, words) {
    for (const flight of stage.cluster.inFlight) if (fits(flight, words)) stage.say(describeFlight(flight))
  },
  /** From now on each message is told as it leaves. `show mail` / `hide mail`. */
  show(stage) {
    stage.showsMail = true
  },
  hide(stage) {
    stage.showsMail = false
  },
  /** `clock 1 ms=3600000`: its calendar clock is so much off. */
  clock: (stage, words) => eachNode(stage, words, node => (node.wallOffsetMs = words.number('ms', 0))),
  jitter: (stage, words) => eachNode(stage, words, node => (node.jitter = words.number('to', 0))),
  /** Cluster time as these nodes see it, less the true time. */
  time: (stage, words) =>
    eachNode(stage, words, node => {
      const seen = stage.cluster.core(node.id).clusterTimeMs(stage.cluster.nowMs)
      stage.say(`${node.id} cluster time is ${Math.round(seen - firstWallMs - stage.cluster.nowMs)} ms ahead of true time`)
    }),
  status: (stage, words) => eachNode(stage, words, node => sayStatus(stage, node)),
  /** Logs as runs first-last/term, what of them is on disk, commit. */
  logs: (stage, words) => eachNode(stage, words, node => sayLog(stage, node)),
  /** `tell 2 from=1 kind=append term=1 prev=3/1 entries=4/1,5/1 commit=5`: a message as somebody might have sent it. */
  tell(stage, words) {
    const { cluster } = stage
    const to = cluster.node(words.numbers[0] ?? 1)
    const from = words.number('from', 1) as NodeId
    cluster.step(to, { kind: 'receive', nowMs: cluster.nowMs, from, message: forged(stage, to, words) })
  },
}

/** One line of a story. */
export function perform(stage: Stage, command: string): void {
  const [verb = '', ...words] = command.trim().split(/\s+/)
  const act = verbs[verb]
  if (act === undefined) throw new Error(`no such verb: ${command}`)
  act(stage, new Words(words))
}

function eachNode(stage: Stage, words: Words, act: (node: TestNode) => void): void {
  const ids = words.numbers.length > 0 ? words.numbers : stage.cluster.nodes.map(node => node.id as number)
  for (const id of ids) act(stage.cluster.node(id))
}

function list(text: string | undefined): number[] {
  return (text ?? '').split(',').filter(Boolean).map(Number)
}

function fits(flight: Flight, words: Words): boolean {
  const kind = words.text('kind')
  if (kind !== undefined && flight.message.kind !== kind) return false
  if (words.text('from') !== undefined && flight.from !== words.number('from', 0)) return false
  return words.text('to') === undefined || flight.to === words.number('to', 0)
}

function sayGroup(stage: Stage, node: TestNode): void {
  if (node.core === undefined) return stage.say(`${node.id} is down`)
  const { membership, isMembershipCommitted, isRemoved } = node.core.status(stage.cluster.nowMs)
  const group = membership.membership.members.length === 0 ? 'none' : describeMembership(membership.membership)
  stage.say(`${node.id} group ${group}${isMembershipCommitted ? '' : ', not committed'}${isRemoved ? '; removed' : ''}`)
}

function sayStatus(stage: Stage, node: TestNode): void {
  if (node.core === undefined) return stage.say(`${node.id} is down`)
  const status = node.core.status(stage.cluster.nowMs)
  const leader = status.leaderId === undefined ? 'no leader' : `leader ${status.leaderId}`
  const flags = `${status.isVoteWithheld ? ', vote withheld' : ''}${status.isVoteConditional ? ', vote conditional' : ''}`
  stage.say(
    `${node.id} ${status.role} term ${status.term}, ${leader}, vote ${status.votedFor ?? 'none'}${flags}, commit ${status.commitIndex}`,
  )
  for (const peer of status.peers) {
    const reach = `matched ${peer.matchedIndex}, durable ${peer.durableIndex}, next ${peer.nextIndex}`
    stage.say(`  ${peer.id} ${peer.state}, ${reach}, in flight ${peer.inflightSlices} slices, ${peer.inflightBytes} bytes`)
  }
}

function sayLog(stage: Stage, node: TestNode): void {
  const runs = (entries: readonly TestEntry[]) =>
    runsOf(entries)
      .map(({ firstIndex, term }, i, all) => `${firstIndex}-${(all[i + 1]?.firstIndex ?? entries.length + 1) - 1}/${term}`)
      .join(' ') || 'empty'
  const commit = node.core === undefined ? 'down' : `commit ${node.core.inspect().commitIndex}`
  stage.say(`${node.id} ${runs(node.disk.written)}; on disk ${runs(node.disk.log)}; ${commit}`)
}

function place(text: string): { index: LogIndex; term: Term } {
  const [index = 0, term = 0] = text.split('/').map(Number)
  return { index: index as LogIndex, term: term as Term }
}

/** The session that the receiver believes to be in, unless another is given as `session=incarnation.count`. */
function sessionOf(role: RoleState, words: Words): Session {
  const text = words.text('session')
  if (text !== undefined) {
    const [incarnation = 0, count = 1] = text.split('.').map(Number)
    return makeSession(incarnation, count)
  }
  if (role.kind === 'follower' && role.session > 0) return role.session
  const progress = role.kind === 'leader' ? role.peers.find(peer => peer.peer === words.number('from', 0)) : undefined
  return progress?.session ?? makeSession(0, 1)
}

function forged(stage: Stage, to: TestNode, words: Words): Message {
  const state = stage.cluster.core(to.id).inspect()
  const term = words.number('term', state.term) as Term
  const session = sessionOf(state.role, words)
  const index = (key: string) => words.number(key, 0) as LogIndex
  switch (words.text('kind')) {
    case 'append': {
      const entries = (words.text('entries') ?? '').split(',').filter(Boolean).map(place)
      const made = entries.map(id => ({ ...id, kind: 1, wallMs: firstWallMs, value: `forged ${id.index}/${id.term}` }))
      const slice = stage.cluster.makeSlice(place(words.text('prev') ?? '0/0'), made)
      return { kind: 'append', term, session, slice, commitIndex: index('commit') }
    }
    case 'heartbeat':
      return { kind: 'heartbeat', term, session, commitIndex: index('commit'), clusterTimeMs: firstWallMs, round: 1 }
    case 'readIndex':
      return { kind: 'readIndex', term, incarnation: words.number('incarnation', 1), read: words.number('read', 1) }
    case 'readIndexReply': {
      const read = words.number('read', 1)
      return { kind: 'readIndexReply', term, incarnation: words.number('incarnation', state.incarnation), read, index: index('index') }
    }
    case 'heartbeatReply':
      return { kind: 'heartbeatReply', term, session, round: words.number('round', 1), wallMs: firstWallMs, appliedIndex: index('applied') }
    case 'appendAccepted':
      return { kind: 'appendAccepted', term, session, matchedIndex: index('matched'), durableIndex: index('durable') }
    case 'appendConflict':
      return { kind: 'appendConflict', term, session, refusedIndex: index('refused'), hint: place(words.text('hint') ?? '0/0') }
    case 'appendRefused':
      return { kind: 'appendRefused', term, session }
    case 'snapshotOffer':
      return { kind: 'snapshotOffer', term, session, commitIndex: words.number('commit', 0) as LogIndex }
    case 'vote':
      return { kind: 'vote', term, last: place(words.text('last') ?? '0/0'), isTransfer: words.has('transfer') }
    case 'timeoutNow':
      return { kind: 'timeoutNow', term, session }
    case 'preVote':
      return {
        kind: 'preVote',
        term,
        last: place(words.text('last') ?? '0/0'),
        leaderLost: words.has('leaderLost'),
        round: words.number('round', 1),
      }
    case 'voteReply':
      return { kind: 'voteReply', term, granted: words.has('granted'), isConditional: words.has('conditional'), wallMs: firstWallMs }
    case 'preVoteReply':
      return {
        kind: 'preVoteReply',
        term,
        granted: words.has('granted'),
        isConditional: words.has('conditional'),
        round: words.number('round', 1),
      }
    default:
      throw new Error(`tell knows no kind ${words.text('kind') ?? '(none)'}`)
  }
}
