/**
 * One seed, one history of a small cluster under everything that can go wrong: loss, copies, reordering, cuts, slow disks, crashes that lose what is
 * not on disk, pauses, jumping clocks. The ledger judges every step. In the end all is healed, and the cluster must elect, commit and agree (I18).
 */
import type { NodeId } from '../core/ids.ts'
import { memberOf, phaseOf } from '../core/membership.ts'
import { Chance } from './chance.ts'
import { MiniCluster } from './mini-cluster.ts'
import type { TestNode } from './mini-cluster.ts'
import { plainMember } from './members.ts'

export interface Profile {
  readonly voters: number
  readonly steps: number
  /** A crash may take synced entries with it; at most one voter at a time is hurt like that. */
  readonly areTearsAllowed: boolean
  /** Nodes that belong to no group at first; with them members come and go. */
  readonly spares?: number
}

export interface History {
  readonly elections: number
  readonly commits: number
  readonly reads: number
  readonly refusals: ReadonlyMap<string, number>
}

const inFlightMax = 200

export function playRandomHistory(seed: number, profile: Profile): History {
  const chance = new Chance(seed)
  const refusals = new Map<string, number>()
  const cluster = new MiniCluster(
    profile.voters,
    { sliceBytesMax: 400, inflightSlicesMax: 3, inflightBytesMax: 1_000, uncommittedBytesMax: 3_000 },
    { refusal: (_, reason) => refusals.set(reason, (refusals.get(reason) ?? 0) + 1) },
    profile.areTearsAllowed,
    profile.spares ?? 0,
  )
  for (const node of cluster.nodes) node.isSlow = true
  cluster.isLazy = true
  // Some histories are calm, so that much is built up before something breaks.
  const faultShare = chance.next()
  for (let i = 0; i < profile.steps; i++) {
    randomStep(cluster, chance, profile, faultShare)
    for (const node of cluster.nodes) if (chance.is(0.4)) cluster.drain(node)
  }
  cluster.isLazy = false
  for (const node of cluster.nodes) cluster.drain(node)
  healAll(cluster)
  expectLife(cluster)
  return { elections: cluster.ledger.electionCount, commits: cluster.ledger.committed.length, reads: cluster.ledger.readCount, refusals }
}

function randomStep(cluster: MiniCluster, chance: Chance, profile: Profile, faultShare: number): void {
  const node = chance.pick(cluster.nodes)
  if (node === undefined) return
  while (cluster.inFlight.length > inFlightMax) cluster.inFlight.shift()
  const draw = chance.below(1_000)
  if (draw < 450) return deliverSome(cluster, chance)
  if (draw < 700) return cluster.sync(node.id, 1 + chance.below(6))
  if (draw < 820) return passTime(cluster, chance)
  if (draw < 890) return proposeSome(cluster, chance, node)
  if (draw < 920) return readSome(cluster, chance, node)
  if (draw < 930 && profile.spares !== undefined) return changeMembers(cluster, chance)
  if (!chance.is(faultShare)) return deliverSome(cluster, chance)
  if (draw < 940) return crashOrStart(cluster, chance, node, profile)
  if (draw < 955) return cutOrHeal(cluster, chance)
  if (draw < 965) return pauseOrResume(cluster, chance, node)
  if (draw < 970) return void (node.wallOffsetMs = chance.is(0.3) ? 0 : (chance.next() - 0.5) * 2 * 365 * 86_400_000)
  if (draw < 985) return reconnect(cluster, chance, node)
  if (draw < 990 && node.core !== undefined) return cluster.step(node, { kind: 'campaign', nowMs: cluster.nowMs })
  if (draw < 994) return transfer(cluster, chance)
  if (chance.is(0.2)) cluster.nowMs += chance.below(500)
  else stun(cluster, chance)
}

function transfer(cluster: MiniCluster, chance: Chance): void {
  const leader = cluster.leader()
  const to = chance.pick(cluster.nodes)
  if (leader === undefined || to === undefined) return
  cluster.step(leader, { kind: 'transfer', nowMs: cluster.nowMs, to: to.id, giveUpMs: cluster.nowMs + chance.below(600) })
}

function deliverSome(cluster: MiniCluster, chance: Chance): void {
  for (let left = 1 + chance.below(2 * cluster.nodes.length); left > 0 && cluster.inFlight.length > 0; left--) {
    const at = chance.is(0.85) ? 0 : chance.below(cluster.inFlight.length)
    if (chance.is(0.04)) cluster.inFlight.splice(at, 1)
    else cluster.deliver(at, chance.is(0.05))
  }
}

function passTime(cluster: MiniCluster, chance: Chance): void {
  cluster.nowMs += chance.below(25)
  for (const node of cluster.nodes) {
    if (node.core === undefined || node.core.output.deadlineMs > cluster.nowMs) continue
    node.jitter = chance.next()
    cluster.tick(node.id)
  }
}

function proposeSome(cluster: MiniCluster, chance: Chance, node: TestNode): void {
  const target = chance.is(0.9) ? cluster.leader() : node
  if (target?.core === undefined || target.isPaused) return
  cluster.propose(target.id, 1 + chance.below(6))
}

/** A leader stands still for longer than the others wait for it; it wakes in `pauseOrResume`, and may believe for a moment that it still leads. */
function stun(cluster: MiniCluster, chance: Chance): void {
  const leader = cluster.leader()
  if (leader === undefined) return
  leader.isPaused = true
  cluster.nowMs += 300 + chance.below(300)
}

/** Who wakes reads before it hears what has become of the world. */
function pauseOrResume(cluster: MiniCluster, chance: Chance, node: TestNode): void {
  if (!node.isPaused) {
    node.isPaused = node.core !== undefined && chance.is(0.6)
    return
  }
  cluster.resume(node.id)
  if (node.core !== undefined) cluster.read(node.id, chance.below(400))
}

/** Whoever leads, or believes to, is asked as often as all others together. */
function readSome(cluster: MiniCluster, chance: Chance, node: TestNode): void {
  const leaders = cluster.nodes.filter(({ core }) => core?.inspect().role.kind === 'leader')
  const reader = chance.is(0.5) ? (chance.pick(leaders) ?? node) : node
  if (reader.core === undefined || reader.isPaused) return
  cluster.read(reader.id, chance.below(400))
}

/** A wish that makes sense or none, to whoever believes to lead. */
function changeMembers(cluster: MiniCluster, chance: Chance): void {
  const leaders = cluster.nodes.filter(node => node.core?.inspect().role.kind === 'leader')
  const leader = chance.pick(leaders)
  if (leader?.core === undefined || leader.isPaused) return
  const { voters } = leader.core.inspect().members.current.membership
  const strangers = cluster.nodes.map(node => node.id).filter(id => !voters.includes(id))
  const some = (ids: readonly NodeId[]) => ids.filter(() => chance.is(0.3))
  const draw = chance.next()
  if (draw < 0.1) return void cluster.change(leader.id, { kind: 'cancel' })
  const member = { ...plainMember(chance.pick(voters) ?? 1), address: `moved${chance.below(100)}:1` }
  if (draw < 0.2) return void cluster.change(leader.id, { kind: 'update', member })
  const add = draw < 0.7 ? some(strangers).map(plainMember) : []
  cluster.change(leader.id, { kind: 'replace', add, remove: draw > 0.4 ? some(voters) : [] })
}

function crashOrStart(cluster: MiniCluster, chance: Chance, node: TestNode, profile: Profile): void {
  if (node.core === undefined) return cluster.start(node.id)
  const mayHurt = profile.areTearsAllowed && !cluster.nodes.some(({ disk }) => disk.isTornUnverified)
  // What is torn off was on this disk; nothing that the state machine's own checkpoint rests on is lost with it.
  node.disk.appliedIndex = chance.is(0.5) ? 0 : node.disk.appliedIndex
  const torn = mayHurt && chance.is(0.5) ? chance.below(Math.min(4, node.disk.log.length - node.disk.appliedIndex + 1)) : 0
  cluster.crash(node.id, torn)
  for (const other of cluster.nodes) if (other.core !== undefined && chance.is(0.7)) died(cluster, chance, other, node.id)
  if (chance.is(0.7)) cluster.start(node.id)
}

function died(cluster: MiniCluster, chance: Chance, node: TestNode, peer: NodeId): void {
  cluster.step(node, { kind: 'peerDied', nowMs: cluster.nowMs, peer, jitter: chance.next() })
}

function cutOrHeal(cluster: MiniCluster, chance: Chance): void {
  if (chance.is(0.6)) return cluster.heal()
  const a = chance.pick(cluster.nodes)
  const b = chance.pick(cluster.nodes)
  if (a !== undefined && b !== undefined && a !== b) cluster.cut(a.id, b.id)
}

function reconnect(cluster: MiniCluster, chance: Chance, node: TestNode): void {
  const peer = chance.pick(cluster.nodes)
  if (peer === undefined || peer === node || cluster.isCut(node.id, peer.id)) return
  cluster.disconnect(node, peer.id)
  cluster.connect(node, peer)
}

function healAll(cluster: MiniCluster): void {
  for (const node of cluster.nodes) {
    node.isSlow = false
    cluster.resume(node.id)
    if (node.core === undefined) cluster.start(node.id)
  }
  cluster.heal()
  cluster.settle()
}

function expectLife(cluster: MiniCluster): void {
  cluster.run(2_500)
  const leader = cluster.leader()
  if (leader === undefined) throw new Error('no leader after all was healed')
  const ticket = cluster.propose(leader.id, 3)
  cluster.run(200)
  if (cluster.ledger.outcomes.get(ticket) !== 'committed')
    throw new Error(`a healed cluster does not commit: ${cluster.ledger.outcomes.get(ticket) ?? 'nothing'}`)
  const readsBefore = cluster.ledger.readCount
  for (const node of cluster.nodes) cluster.read(node.id, 200)
  cluster.run(300)
  const commitIndex = cluster.ledger.committed.length
  const group = leader.core?.inspect().members.current.membership
  if (group === undefined || phaseOf(group) === 'joint') throw new Error('a joint membership was left behind')
  let membersCount = 0
  for (const node of cluster.nodes) {
    const state = node.core?.inspect()
    if (memberOf(group, node.id) === undefined) continue
    if (state?.commitIndex !== commitIndex || state.appliedIndex !== commitIndex)
      throw new Error(`node ${node.id} is at ${state?.commitIndex ?? 0} of ${commitIndex}`)
    if (state.logTrust !== 'whole') throw new Error(`node ${node.id} is still unverified`)
    membersCount++
  }
  if (cluster.ledger.readCount - readsBefore < membersCount) throw new Error('a healed cluster does not read')
  for (const [open, kind] of cluster.ledger.outcomes) if (kind === 'appended') throw new Error(`proposal ${open} never ended`)
}
