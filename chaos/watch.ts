/** Watches the run for what a report wants to know: changes of leader, marks, and whether the replicas have become equal. Judges nothing. */
import type { RaftTraceEvent, Refusal } from '../raft/index.ts'
import type { Glance, NodeView } from './checkers/checker.ts'
import { isQuorum } from './checkers/membership.ts'
import { readEntry, sameEntryIn } from './checkers/readable.ts'
import type { FaultKind } from './faults/catalog.ts'
import type { Host } from './host.ts'
import type { Judges } from './judges.ts'
import type { Ledger } from './ledger.ts'
import type { Marks } from './marks.ts'

const rotBesideTorn = 'a group had to wait: rot on one disk, a torn log on another'
const lossBesideTorn = 'a group had to wait: one disk lost, a torn log on another'
/** Under load a follower is always a few entries behind. */
const lagEntriesMax = 100

export class Watch {
  leaderChanges = 0
  leaderChangesWithSendsInFlight = 0
  /** How long a bare quorum took to serve; undefined in seeds without one. */
  coreServedMs: number | undefined
  #leaderTerm = 0
  readonly #ledger: Ledger
  readonly #judges: Judges
  readonly #marks: Marks
  readonly #hosts: readonly Host[]
  readonly #say: (who: string, text: string) => void

  constructor(ledger: Ledger, judges: Judges, marks: Marks, hosts: readonly Host[], say: (who: string, text: string) => void) {
    this.#ledger = ledger
    this.#judges = judges
    this.#marks = marks
    this.#hosts = hosts
    this.#say = say
  }

  /** Who leads in the highest term. */
  leader(): Host | undefined {
    let best: Host | undefined
    for (const host of this.#hosts) {
      if (host.node?.raft.role === 'leader' && (best?.node === undefined || host.node.raft.term > best.node.raft.term)) best = host
    }
    return best
  }

  onStarted(host: Host): void {
    if (host.lifeNumber === 1 || host.node === undefined) return
    if (host.node.machine.appliedIndex > 0) return this.#marks.hit('a node restarted from a checkpoint')
    this.#marks.hit('a node restarted without a checkpoint')
    if (host.node.log.lastId.index > 0) this.#marks.hit('the state was rebuilt from the log')
  }

  onLeft(): void {
    if (this.#hosts.every(host => !host.isUp)) this.#marks.hit('all nodes were down at once')
  }

  /** What is only counted when all is over. */
  atEnd(faults: Readonly<Partial<Record<FaultKind, number>>>): void {
    if (this.#ledger.counts.retriedSends > 0) this.#marks.hit('a send took more than one attempt')
    if ((faults.clockYearLeader ?? 0) > 0) this.#marks.hit('a calendar clock jumped by a year')
    if (this.#hosts.some(host => host.logFiles > 1)) this.#marks.hit('a segment was sealed')
    const seen = new Set<string>()
    for (const { clientId, messageId, place } of this.#ledger.values) {
      if (clientId === '' || place === undefined) continue
      const id = `${clientId}/${messageId}`
      if (seen.has(id)) this.#marks.hit('equal message ids with different content')
      seen.add(id)
    }
  }

  onNote(host: Host, sentence: string): void {
    this.#say(host.name, sentence)
    if (/torn|cut off|truncated/.test(sentence)) this.#marks.hit('a restart found a torn tail')
    if (sentence.includes('slots is unreadable')) this.#marks.hit('one slot of the hard state was lost')
    if (sentence.includes('a snapshot at entry') && sentence.includes('installed')) this.#marks.hit('a snapshot was installed')
    if (sentence.includes('fetching a snapshot') && !sentence.includes(' 0 of them here'))
      this.#marks.hit('a fetch of a snapshot went on where it had ended')
    if (sentence.includes('are whole again, from a peer')) this.#marks.hit('rot was found at work, and mended from a peer')
    if (sentence.includes('whole again; ')) this.#marks.hit('rot was found at a start, and mended from peers')
    if (sentence.includes('makes index and state anew')) this.#marks.hit('a rotten piece of the queue index was met')
    if (/written anew|made anew/.test(sentence)) this.#marks.hit('a second copy stood in for one that had rotted')
    if (sentence.includes('the state of another node')) this.#marks.hit('a lost state came from another node')
    if (sentence.includes('handing the leadership over')) this.#marks.hit('a leader handed over because its disk was slow')
    if (sentence.includes('rebuilt from the log')) this.#marks.hit('the state was rebuilt from the log')
  }

  onTrace(host: Host, event: RaftTraceEvent): void {
    switch (event.kind) {
      case 'refusal':
        this.#marks.hit(event.code as Refusal)
        return
      case 'roleChange':
        this.#say(host.name, `${event.change.from} -> ${event.change.to}, term ${event.change.term}: ${event.change.reason}`)
        return
      case 'peerDied':
        this.#marks.hit("a node saw the leader's process die")
        this.#say(host.name, `saw the process of node-${event.peer} die`)
        return
      case 'stall':
        this.#marks.hit('a node found that it had stood still')
        this.#say(host.name, `found a gap of ${Math.round(event.gapMs)} ms`)
        return
      case 'otherDirectory':
        this.#say(host.name, `node-${event.peer} came with another data directory`)
        return
      case 'badFrame':
        this.#marks.hit('a damaged frame was met')
        this.#say(host.name, `bad frame from node-${event.peer}: ${event.problem}`)
        return
      case 'full':
        this.#marks.hit('a leader had no room for a proposal')
        this.#say(host.name, `has no room for a proposal of ${event.bytes} bytes: ${event.pool}`)
        return
      case 'link':
        return
    }
  }

  onGlance(view: NodeView, now: Glance, before: Glance): void {
    if (now.rewroteFrom > 0) {
      this.#marks.hit('uncommitted entries were overwritten')
      this.#say(
        `node-${view.id}`,
        `rewrites its log from ${now.rewroteFrom}: ${before.lastIndex} of term ${before.lastTerm} -> ${now.lastIndex} of term ${now.lastTerm}`,
      )
    }
    if (now.role !== 'leader' || (before.role === 'leader' && now.term === before.term)) return
    if (this.#hosts.filter(host => host.node?.raft.role === 'leader').length > 1) this.#marks.hit('two nodes believed to lead at once')
    if (now.term <= this.#leaderTerm) return
    if (this.#leaderTerm > 0) this.#onNewLeader()
    this.#leaderTerm = now.term
  }

  /** A bare quorum served after this long. */
  coreServed(afterMs: number): void {
    this.coreServedMs = afterMs
    this.#marks.hit('a bare quorum served')
  }

  /**
   * Whether a quorum without the others may not serve, by design. The vote of one of them is withheld or conditional (it lost a slot of its hard state or a
   * torn tail, docs/decisions/0008), so it counts only when every voter grants, and the others are broken. Or entries have rotted on one of them that none
   * of the rest has: who lacks them can be given neither log nor snapshot. Counted, as marks.
   */
  maySilentlyWait(hosts: readonly Host[]): boolean {
    const isBound = hosts.some(({ node }) => {
      const status = node?.raft.status()
      return status !== undefined && (status.isVoteConditional || status.isVoteWithheld || status.role === 'recovering')
    })
    if (isBound) this.#marks.hit('a bare quorum had to wait: a vote was conditional')
    const isRotten = hosts.some(host => this.#hasLostEntries(host, hosts))
    if (isRotten) this.#marks.hit('a bare quorum had to wait: nobody in it had what had rotted')
    return isBound || isRotten
  }

  /**
   * Whether nobody of these may lead, by design and until an operator comes (docs/disks.md): one has rot in its log that it can't have mended, or its disk is
   * `lost` and not replaced, so it has no vote; and the logs of so many others were torn by power cuts that a majority needs a torn one, whose vote counts only
   * with everybody's.
   */
  mustWait(electors: readonly Host[], lost: readonly number[]): boolean {
    const isRecovering = electors.some(({ node }) => node?.raft.role === 'recovering')
    const isLost = electors.some(({ id }) => lost.includes(id))
    const free = electors.filter(
      ({ id, node }) =>
        node !== undefined && !lost.includes(id) && node.raft.role !== 'recovering' && !node.raft.status().isVoteConditional,
    )
    if (!isRecovering && !isLost) return false
    if (this.#judges.roster.possible.every(each => isQuorum(each, id => free.some(host => host.id === id)))) return false
    this.#marks.hit(isRecovering ? rotBesideTorn : lossBesideTorn)
    return true
  }

  /** Which of these hosts is far behind what is committed; undefined when none is. */
  lagging(hosts: readonly Host[]): string | undefined {
    const { commitIndex } = this.#judges.reference
    const behind = hosts.find(host => (host.node?.machine.appliedIndex ?? 0) + lagEntriesMax < commitIndex)
    return behind === undefined ? undefined : `${behind.name}: applied ${behind.node?.machine.appliedIndex ?? 'nothing'} of ${commitIndex}`
  }

  /** Why these replicas are not equal yet; undefined when they are. */
  unequal(hosts: readonly Host[]): string | undefined {
    const { commitIndex } = this.#judges.reference
    for (const host of hosts) {
      if (host.node === undefined) return `node ${host.id} is down`
      if (host.node.log.lastId.index !== commitIndex)
        return `node ${host.id}: log ends at ${host.node.log.lastId.index}, commit is ${commitIndex}`
      if (host.node.machine.appliedIndex !== commitIndex)
        return `node ${host.id}: applied ${host.node.machine.appliedIndex} of ${commitIndex}`
    }
    return this.#unreadable(hosts)
  }

  /**
   * Which of these hosts keeps more of its log than retention was told to keep; undefined when none does. Besides `bytesMax`: the segment that is being
   * written, and one of which only the end is wanted.
   */
  overlong(hosts: readonly Host[], bytesMax: number): string | undefined {
    for (const { id, node } of hosts) {
      const wanted = node?.log.segmentSpans().slice(1, -1) ?? []
      const bytes = wanted.reduce((sum, segment) => sum + segment.bytes, 0)
      if (bytes > bytesMax) return `node ${id}: keeps ${bytes} bytes of whole segments, of ${bytesMax} it may keep`
    }
    return undefined
  }

  /** Committed entries have rotted on its disk that none of these has. */
  #hasLostEntries({ node, harmedLogSectors }: Host, hosts: readonly Host[]): boolean {
    if (node === undefined || harmedLogSectors === 0) return false
    for (let index: number = node.log.firstIndex; index <= node.raft.commitIndex; index += 1)
      if (!hosts.some(other => other.node !== undefined && sameEntryIn(other.node.log, node.log, index) !== undefined)) return true
    return false
  }

  /** What a disk has harmed is found and mended by now, or on its way: everything is read once more. */
  #unreadable(hosts: readonly Host[]): string | undefined {
    for (const { node, id, harmedLogSectors } of hosts) {
      if (node === undefined || harmedLogSectors === 0) continue
      for (let index: number = node.log.firstIndex; index <= node.log.lastId.index; index += 1)
        if (readEntry(node.log, index) === undefined) return `node ${id}: entry ${index} has rotted and is not mended`
    }
    return undefined
  }

  #onNewLeader(): void {
    this.leaderChanges += 1
    if (this.#ledger.openSends > 0) {
      this.leaderChangesWithSendsInFlight += 1
      this.#marks.hit('leader changed with sends in flight')
    }
    if (this.#judges.deliveries.inFlight() > 0) this.#marks.hit('leader changed with deliveries in flight')
  }
}
