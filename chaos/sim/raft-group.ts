/**
 * A Raft group on simulated seams, with a log in memory: the world for tests of the driver alone (the world of whole broker nodes is chaos/world.ts).
 * Checks after every step what must always hold: one leader a term, no committed entry ever differs, nothing applied twice or out of order.
 */
import type {
  EntryBody,
  HardStateStorage,
  LogStorage,
  Member as GroupMember,
  MembershipView,
  NodeId,
  ProposeDone,
  RaftApp,
  RaftConfig,
  RaftTraceEvent,
  RecoveredState,
  RejectReason,
  RepairStorage,
  StoredEntry,
} from '../../raft/index.ts'
import { EntryKind, RaftNode, defaultRaftConfig, firstMembership, logIndex, nodeId } from '../../raft/index.ts'
import { assert, mustExist } from '../../src/platform/assert.ts'
import { crc32c } from '../../src/platform/bytes.ts'
import type { Clock } from '../../src/platform/clock.ts'
import { MachineClock } from './clock.ts'
import { MemoryDisk } from './memory-log.ts'
import type { SimNetworkOptions } from './network.ts'
import { SimNetwork, calmProfile } from './network.ts'
import { SimRandom } from './random.ts'
import type { SimProcess } from './scheduler.ts'
import { Scheduler } from './scheduler.ts'

export interface GroupOptions {
  readonly seed: string
  readonly size?: number
  /** More machines, whose nodes wait until the group takes them in. */
  readonly spares?: number
  readonly network?: Partial<SimNetworkOptions>
  /** A MemoryDisk of half a millisecond, when not given. */
  readonly disk?: (maker: DiskMaker) => GroupDisk
  readonly config?: Partial<RaftConfig>
  /** What it costs a process to apply an entry. Its own clock shows it at once; the others go on as if it had taken no time. */
  readonly applyMs?: number
}

/** What a process finds on its disk. */
export interface OpenedStorage {
  readonly recovered: RecoveredState
  readonly log: LogStorage
  readonly hardState: HardStateStorage
  readonly repair?: RepairStorage
}

/** The disk of one machine. */
export interface GroupDisk {
  open(process: SimProcess, clock: Clock, random: SimRandom): OpenedStorage
  /** The process is gone, the machine is not. */
  killed(): void
  powerLost(): void
}

export interface DiskMaker {
  readonly scheduler: Scheduler
  readonly random: SimRandom
  readonly id: NodeId
}

/** One machine of the group: its disk and clocks live on, its process comes and goes. */
export interface Member {
  readonly id: NodeId
  readonly host: string
  /** Of its peer port; may be another one at its next start. */
  port: number
  readonly machine: MachineClock
  disk: GroupDisk
  /** Which data directory is on the disk; another one after a `wipe`. */
  directory: string
  process: SimProcess
  node: RaftNode
  log: LogStorage
  /** Applied by the present process. */
  applied: string[]
  appliedIndex: number
  frames: { from: NodeId; text: string }[]
  /** What its user heard of the links to others, in order. */
  links: string[]
  fatal: Error | undefined
  /** Up to here nobody has what it lacks. */
  unobtainable: number | undefined
  /** As it was last told. */
  view: MembershipView | undefined
}

const peerPort = 7_000

export class RaftGroup {
  readonly scheduler = new Scheduler()
  readonly random: SimRandom
  readonly network: SimNetwork
  readonly members: Member[]
  readonly trace: { atMs: number; who: NodeId; event: RaftTraceEvent }[] = []
  readonly #options: GroupOptions
  readonly #leaders = new Map<number, NodeId>()
  #directories = 0
  /** What has been applied anywhere, by index: never two things. */
  readonly #history = new Map<number, string>()

  constructor(options: GroupOptions) {
    this.#options = options
    this.random = new SimRandom(options.seed)
    this.network = new SimNetwork(this.scheduler, this.random.stream('network'), {
      mode: 'stream',
      profile: calmProfile,
      ...options.network,
    })
    const ids = Array.from({ length: (options.size ?? 3) + (options.spares ?? 0) }, (_, i) => nodeId(i + 1))
    this.members = ids.map(id => this.#newMember(id))
    for (const member of this.members) this.start(member.id)
  }

  member(id: NodeId): Member {
    return mustExist(this.members[id - 1], 'member', id)
  }

  get leader(): Member | undefined {
    const leading = this.members.filter(({ process, node }) => process.isAlive && node.role === 'leader')
    return leading.sort((a, b) => b.node.term - a.node.term)[0]
  }

  /** A leader whose own first entry is committed, and nobody else thinks to lead in a higher term. */
  awaitLeader(durationMs = 5_000, except?: Member): Member {
    const isThere = (): boolean => {
      const { leader } = this
      return (
        leader !== undefined &&
        leader !== except &&
        leader.process.isAlive &&
        leader.appliedIndex >= leader.node.commitIndex &&
        leader.appliedIndex > 0
      )
    }
    this.run(durationMs, isThere)
    assert(isThere(), 'no-leader-in-time', durationMs)
    return mustExist(this.leader, 'leader')
  }

  /** Runs and checks, until the condition holds or the time is over. */
  run(durationMs: number, until: () => boolean = () => false): boolean {
    const endMs = this.scheduler.nowMs + durationMs
    this.scheduler.runUntilTrue(() => {
      this.#check()
      return until() || this.scheduler.nowMs >= endMs
    }, durationMs)
    return until()
  }

  /** Proposes a text on whoever leads. */
  propose(member: Member, text: string, done?: ProposeDone): RejectReason | undefined {
    return member.node.propose(EntryKind.data, [bodyOf(text)], done)
  }

  kill(id: NodeId): void {
    const member = this.member(id)
    member.process.kill()
    member.disk.killed()
    this.network.processDied(member.process)
  }

  losePower(id: NodeId): void {
    const member = this.member(id)
    member.process.kill()
    member.disk.powerLost()
    this.network.hostLost(member.process, member.host)
  }

  start(id: NodeId): void {
    const member = this.member(id)
    member.process = this.scheduler.newProcess(member.host)
    this.network.hostBack(member.host)
    this.#boot(member)
  }

  /** The machine's disk is lost: at its next start the node finds nothing, in a directory that is another one. */
  wipe(id: NodeId): void {
    const member = this.member(id)
    this.kill(id)
    member.disk = this.#newDisk(id)
    // As storage does it: a new directory counts on where the lost one can not have come.
    if (member.disk instanceof MemoryDisk) member.disk.memory.incarnation = 1_000
    member.directory = this.#newDirectory(id)
  }

  /** As the group is to know it. */
  describe({ id, host, port }: Member): GroupMember {
    return { id, name: `n${id}`, address: `${host}:${port}`, clientAddress: '' }
  }

  host(id: NodeId): string {
    return `n${id}`
  }

  hosts(except: readonly NodeId[] = []): string[] {
    return this.members.filter(({ id }) => !except.includes(id)).map(({ host }) => host)
  }

  elections(): number {
    return this.#leaders.size
  }

  #newMember(id: NodeId): Member {
    const host = this.host(id)
    const clocks = this.random.stream('clock', id)
    const machine = new MachineClock(this.scheduler, {
      wallStartMs: 1_700_000_000_000 + clocks.integer(-50, 50),
      monotonicStartMs: clocks.integer(0, 1_000_000),
      driftPpm: clocks.integer(-100, 100),
    })
    const process = this.scheduler.newProcess(host)
    const blank = undefined as never
    return {
      id,
      host,
      port: peerPort,
      machine,
      disk: this.#newDisk(id),
      directory: this.#newDirectory(id),
      process,
      node: blank,
      log: blank,
      applied: [],
      appliedIndex: 0,
      frames: [],
      links: [],
      fatal: undefined,
      unobtainable: undefined,
      view: undefined,
    }
  }

  #newDirectory(id: NodeId): string {
    return Buffer.from(this.random.stream('directory', id, (this.#directories += 1)).bytes(16)).toString('hex')
  }

  #newDisk(id: NodeId): GroupDisk {
    const maker: DiskMaker = { scheduler: this.scheduler, random: this.random.stream('disk', id), id }
    return this.#options.disk?.(maker) ?? new MemoryDisk(this.scheduler, () => 0.5)
  }

  #boot(member: Member): void {
    const { id, host, machine, process } = member
    const draws = this.random.stream('node', id, process.id)
    const { clock, work } = busyClock(machine.forProcess(process))
    const { recovered, log, hardState, repair } = member.disk.open(process, clock, draws)
    member.log = log
    member.applied = []
    member.appliedIndex = 0
    const founders = this.members.slice(0, this.#options.size ?? 3)
    const isFounder = founders.includes(member)
    member.node = RaftNode.start({
      config: {
        ...defaultRaftConfig(id, isFounder ? firstMembership(founders.map(other => this.describe(other))) : undefined),
        ...this.#options.config,
      },
      recovered,
      clock,
      random: draws,
      network: this.network.forProcess(process, host),
      listen: { host, port: member.port },
      self: { ...this.describe(member), directory: member.directory },
      clusterName: 'test',
      log,
      hardState,
      ...(repair === undefined ? {} : { repair }),
      app: this.#app(member, work),
      trace: event => this.trace.push({ atMs: this.scheduler.nowMs, who: id, event }),
    })
  }

  #app(member: Member, work: (ms: number) => void): RaftApp {
    return {
      apply: entry => {
        this.#applied(member, entry)
        work(this.#options.applyMs ?? 0)
      },
      appliedBatch: lastIndex => assert(lastIndex === member.appliedIndex, 'batch-end', lastIndex),
      leadershipChanged: () => undefined,
      membershipChanged: view => (member.view = view),
      peerFrame: (from, bytes) => member.frames.push({ from, text: Buffer.from(bytes).toString() }),
      peerConnected: peer => member.links.push(`${peer} is there`),
      peerDisconnected: peer => member.links.push(`${peer} is gone`),
      unobtainable: lastIndex => (member.unobtainable = lastIndex),
      fatal: error => (member.fatal = error),
    }
  }

  #applied(member: Member, entry: StoredEntry): void {
    assert(entry.index === member.appliedIndex + 1, 'applied-out-of-order', entry.index, member.appliedIndex)
    member.appliedIndex = entry.index
    const text = Buffer.from(entry.body).toString()
    if (entry.kind === EntryKind.data) member.applied.push(text)
    const what = `${entry.term}:${entry.kind}:${text}`
    const known = this.#history.get(entry.index) ?? what
    this.#history.set(entry.index, what)
    assert(known === what, 'committed-entry-differs', known, what, entry.index)
  }

  #check(): void {
    for (const { process, node, id } of this.members) {
      if (!process.isAlive || node.isStopped || node.role !== 'leader') continue
      const known = this.#leaders.get(node.term)
      if (known === undefined) this.#leaders.set(node.term, id)
      else assert(known === id, 'two-leaders-in-term', node.term, known, id)
    }
  }

  /** Everybody's log holds the same bytes up to the shortest commit index. */
  checkLogs(): void {
    const alive = this.members.filter(({ process }) => process.isAlive)
    const upTo = Math.min(...alive.map(({ node }) => node.commitIndex))
    const first = logBytes(mustExist(alive[0], 'nobody-alive').log, upTo)
    for (const { log, id } of alive) assert(logBytes(log, upTo).equals(first), 'logs-differ', id, upTo)
  }
}

/** A clock that runs ahead by what its process has worked, until the world's time has caught up. */
function busyClock(clock: Clock): { readonly clock: Clock; readonly work: (ms: number) => void } {
  let busyUntilMs = -Infinity
  const nowMs = (): number => Math.max(clock.nowMs(), busyUntilMs)
  return { clock: { ...clock, nowMs }, work: ms => (busyUntilMs = nowMs() + ms) }
}

function logBytes(log: LogStorage, lastIndex: number): Buffer {
  if (lastIndex === 0) return Buffer.alloc(0)
  return Buffer.concat(mustExist(log.readBlock(logIndex(1), logIndex(lastIndex), Infinity), 'log-readable', lastIndex).buffers)
}

export function bodyOf(text: string): EntryBody {
  const bytes = Buffer.from(text)
  return { parts: [bytes], bytes: bytes.length, crc: crc32c(bytes) }
}
