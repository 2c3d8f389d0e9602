/**
 * A broker group for tests of this floor: one log in memory that never forks, several gateways that apply it when the test lets them, and
 * links that the test can cut, lose frames on, or hold. A leader change keeps the log up to a chosen index: what lay behind is gone.
 */
import { mustExist } from '../../platform/assert.ts'
import { crc32cOf } from '../../platform/bytes.ts'
import { oldestLevel } from '../../state/feature-level.ts'
import type { Body } from '../peer-frame.ts'
import type { BrokerRaft, ChangeOutcome, FollowerHealth } from '../raft-view.ts'
import type { MembersView, MembersWish, MemberView } from '../admin-requests.ts'
import type { FakeClock } from './fake-clock.ts'

export interface FakeEntry {
  readonly index: number
  readonly term: number
  readonly wallMs: number
  readonly body: Uint8Array
}

/** What a test puts on top of a fake node. */
export interface FakeApp {
  apply(entry: FakeEntry): void
  appliedBatch(): void
  leadershipChanged(): void
  peerFrame(from: number, bytes: Uint8Array): void
  peerConnected(peer: number): void
  peerDisconnected(peer: number): void
}

/** Time a frame or an entry takes from node to node. */
export const hopMs = 1

export class FakeNode implements BrokerRaft {
  readonly id: number
  readonly #group: FakeGroup
  app: FakeApp | undefined
  term = 0
  leaderId: number | undefined
  /** By its own word. */
  isRemoved = false
  appliedIndex = 0
  /** What its build supports. The oldest: a test that is not about levels wants no entry about them. */
  featureLevelMax = oldestLevel
  /** Applies nothing while set: a node that lags. */
  isHeld = false
  /** Has no room for proposals. */
  isFull = false
  /** Takes proposals and says only later that it did not. */
  rejectsLater = false
  /** Entries that have rotted on its disk. */
  readonly rotten = new Set<number>()

  constructor(group: FakeGroup, id: number) {
    this.#group = group
    this.id = id
  }

  get isLeader(): boolean {
    return this.leaderId === this.id
  }

  propose(bodies: readonly Body[], rejected: (reason: 'full' | 'busy' | 'notLeader') => void): boolean {
    if (!this.isLeader || this.#group.leader !== this.id) return false
    if (this.isFull) rejected('full')
    else if (this.rejectsLater) this.#group.clock.setTimer(hopMs, () => rejected('busy'))
    else for (const body of bodies) this.#group.append(this.term, body)
    return true
  }

  get commitIndex(): number {
    return Math.min(this.#group.commitIndex, this.#group.log.length)
  }

  entryBody(index: number): Uint8Array | undefined {
    return this.rotten.has(index) ? undefined : this.entry(index).body
  }

  followers(): readonly FollowerHealth[] {
    if (!this.isLeader) return []
    return this.#group.nodes
      .filter(node => node !== this)
      .map(node => ({
        node: node.id,
        sinceContactMs: this.#group.silenceOf(node.id),
        appliedIndex: node.appliedIndex,
        matchedIndex: node.appliedIndex,
      }))
  }

  isConnected(peer: number): boolean {
    return this.#group.isLinked(this.id, peer)
  }

  /** What a hand-over ends with; undefined: it succeeds. */
  transferFailure: string | undefined
  transfersAsked: number[] = []

  transferLeadership(to: number, _patienceMs: number, done: (why: string | undefined) => void): boolean {
    this.transfersAsked.push(to)
    this.#group.clock.setTimer(hopMs, () => {
      if (this.transferFailure === undefined) this.#group.elect(to)
      done(this.transferFailure)
    })
    return true
  }

  /** Reads that were asked for here. */
  readsAsked = 0
  readonly #reads: { readonly index: number; readonly done: (isReady: boolean) => void }[] = []

  readIndex(patienceMs: number, done: (isReady: boolean) => void): void {
    this.readsAsked++
    const { clock } = this.#group
    let isOpen = true
    const end = (isReady: boolean): void => {
      if (isOpen) done(isReady)
      isOpen = false
    }
    clock.setTimer(patienceMs, () => end(false))
    if (this.leaderId === undefined) return clock.soon(() => end(false))
    clock.setTimer(2 * hopMs, () => {
      if (this.leaderId === undefined || !this.#group.isLinked(this.id, this.leaderId)) return
      this.#reads.push({ index: this.#group.commitIndex, done: end })
      this.endReads()
    })
  }

  /** Those that this node has applied enough for. */
  endReads(): void {
    for (const read of this.#reads.filter(({ index }) => index <= this.appliedIndex)) {
      this.#reads.splice(this.#reads.indexOf(read), 1)
      read.done(true)
    }
  }

  supportedLevels(): readonly { readonly node: number; readonly level: number | undefined }[] {
    return this.#group.nodes.map(node => ({
      node: node.id,
      level: node === this || this.isConnected(node.id) ? node.featureLevelMax : undefined,
    }))
  }

  /** How a wish to change the members ends. */
  changeOutcome: ChangeOutcome = { kind: 'done', index: 7 }
  wishesAsked: MembersWish[] = []

  membership(): MembersView {
    const members = this.#group.nodes.map(({ id }): MemberView => ({
      id,
      name: `n${id}`,
      peerAddress: `h${id}:9876`,
      clientAddress: `h${id}:8081`,
      role: 'voter',
      isJoining: false,
      isParting: false,
    }))
    return { index: 1, isCommitted: true, phase: 'steady', members, isRemoved: this.isRemoved }
  }

  changeMembers(wish: MembersWish, done: (outcome: ChangeOutcome) => void): void {
    this.wishesAsked.push(wish)
    this.#group.clock.setTimer(hopMs, () => done(this.changeOutcome))
  }

  sendToPeer(peer: number, buffers: readonly Uint8Array[]): boolean {
    return this.#group.send(this.id, peer, buffers)
  }

  entry(index: number): FakeEntry {
    return mustExist(this.#group.log[index - 1], 'no-such-entry', index)
  }

  clusterTimeMs(): number {
    return this.#group.clock.wallMs()
  }
}

export class FakeGroup {
  readonly clock: FakeClock
  readonly nodes: readonly FakeNode[]
  readonly log: FakeEntry[] = []
  leader: number | undefined
  term = 0
  commitIndex = 0
  /** Nothing is committed while set. */
  isCommitHeld = false
  /** Asked for every frame; true loses it. */
  losesFrame: (from: number, to: number, bytes: Uint8Array) => boolean = () => false
  readonly #cut = new Set<string>()
  readonly #silentSinceMs = new Map<number, number>()
  #electedAtMs = 0
  frames = 0

  constructor(clock: FakeClock, size: number) {
    this.clock = clock
    this.nodes = Array.from({ length: size }, (_, i) => new FakeNode(this, i + 1))
  }

  node(id: number): FakeNode {
    return mustExist(this.nodes[id - 1], 'no-such-node', id)
  }

  /** A new leader whose log is the present one up to `keepIndex`; everybody learns of it at once. undefined = nobody leads. */
  elect(leader: number | undefined, keepIndex = this.log.length): void {
    this.log.length = Math.max(this.commitIndex, Math.min(keepIndex, this.log.length))
    this.term++
    this.leader = leader
    this.#electedAtMs = this.clock.nowMs()
    for (const node of this.nodes) {
      node.term = this.term
      node.leaderId = leader
      node.app?.leadershipChanged()
    }
    this.#commitSoon()
  }

  append(term: number, body: Body): void {
    if (crc32cOf(body.parts) !== body.crc) throw new Error('a body with a wrong checksum was proposed')
    this.log.push({ index: this.log.length + 1, term, wallMs: this.clock.wallMs(), body: Uint8Array.from(Buffer.concat(body.parts)) })
    this.#commitSoon()
  }

  send(from: number, to: number, buffers: readonly Uint8Array[]): boolean {
    if (this.#cut.has(linkOf(from, to))) return false
    const bytes = Uint8Array.from(Buffer.concat(buffers))
    this.frames++
    if (this.losesFrame(from, to, bytes)) return true
    this.clock.setTimer(hopMs, () => {
      if (!this.#cut.has(linkOf(from, to))) this.node(to).app?.peerFrame(from, bytes)
    })
    return true
  }

  isLinked(a: number, b: number): boolean {
    return !this.#cut.has(linkOf(a, b))
  }

  /** From now on the leader hears nothing of this node, or hears of it again. */
  setSilent(node: number, isSilent: boolean): void {
    if (isSilent) this.#silentSinceMs.set(node, this.clock.nowMs())
    else this.#silentSinceMs.delete(node)
  }

  /** undefined = not a word in this leadership. */
  silenceOf(node: number): number | undefined {
    const since = this.#silentSinceMs.get(node)
    if (since === undefined) return 0
    return since <= this.#electedAtMs ? undefined : this.clock.nowMs() - since
  }

  cut(a: number, b: number): void {
    this.#cut.add(linkOf(a, b))
    this.node(a).app?.peerDisconnected(b)
    this.node(b).app?.peerDisconnected(a)
  }

  heal(a: number, b: number): void {
    this.#cut.delete(linkOf(a, b))
    this.node(a).app?.peerConnected(b)
    this.node(b).app?.peerConnected(a)
  }

  /** Lets a node that was held apply what it missed. */
  release(id: number): void {
    this.node(id).isHeld = false
    this.#applyOn(this.node(id))
  }

  releaseCommit(): void {
    this.isCommitHeld = false
    this.#commitSoon()
  }

  #commitSoon(): void {
    this.clock.setTimer(hopMs, () => {
      if (this.isCommitHeld || this.leader === undefined) return
      this.commitIndex = this.log.length
      for (const node of this.nodes) this.#applyOn(node)
    })
  }

  #applyOn(node: FakeNode): void {
    if (node.isHeld) return
    const before = node.appliedIndex
    while (node.appliedIndex < this.commitIndex) {
      node.appliedIndex++
      node.app?.apply(node.entry(node.appliedIndex))
    }
    if (node.appliedIndex > before) node.app?.appliedBatch()
    node.endReads()
  }
}

function linkOf(a: number, b: number): string {
  return a < b ? `${a}-${b}` : `${b}-${a}`
}
