/**
 * The auditor: after every event of the world it looks at each node that is up, and calls the checkers for what has changed. It also feeds the
 * reference replica with whatever any node calls committed. The order matters: new entries are compared before they may count as committed,
 * the reference has applied them before a node's digest is compared with it.
 */
import type { Checker, Glance, LiveNode, NodeView } from './checkers/checker.ts'
import { readEntry, sameEntryIn } from './checkers/readable.ts'
import type { StoredEntry } from '../raft/index.ts'
import type { ReferenceReplica } from './reference.ts'
import { Violation } from './violation.ts'

type Hook = 'nodeStarted' | 'logChanged' | 'committed' | 'nodeChanged'

interface Watched {
  readonly view: NodeView
  node: LiveNode | undefined
  glance: Glance
  /** Terms of the entries seen in its log: `terms[index]`. */
  terms: number[]
}

const blank: Glance = { role: 'recovering', term: 0, lastIndex: 0, lastTerm: 0, commitIndex: 0, appliedIndex: 0, rewroteFrom: 0 }

export type GlanceWatcher = (view: NodeView, now: Glance, before: Glance) => void

export class Auditor {
  readonly #watched: readonly Watched[]
  readonly #reference: ReferenceReplica
  readonly #checkers: readonly Checker[]
  /** By what they listen to. Found once: every event asks. */
  readonly #ofStarts: readonly NonNullable<Checker['nodeStarted']>[]
  readonly #ofLogs: readonly NonNullable<Checker['logChanged']>[]
  readonly #ofCommits: readonly NonNullable<Checker['committed']>[]
  readonly #ofNodes: readonly NonNullable<Checker['nodeChanged']>[]
  readonly #watchers = new Set<GlanceWatcher>()

  constructor(views: readonly NodeView[], reference: ReferenceReplica, checkers: readonly Checker[]) {
    this.#watched = views.map(view => ({ view, node: undefined, glance: blank, terms: [] }))
    this.#reference = reference
    this.#checkers = checkers
    this.#ofStarts = hooksOf(checkers, 'nodeStarted')
    this.#ofLogs = hooksOf(checkers, 'logChanged')
    this.#ofCommits = hooksOf(checkers, 'committed')
    this.#ofNodes = hooksOf(checkers, 'nodeChanged')
  }

  /** Tells of every change from now on, after the checkers have passed it. */
  watch(watcher: GlanceWatcher): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** After every event. */
  look(): void {
    for (const watched of this.#watched) {
      const { node } = watched.view
      if (node === undefined) {
        watched.node = undefined
        continue
      }
      if (node !== watched.node) this.#begin(watched, node)
      const { raft, log, machine } = node
      const before = watched.glance
      const last = log.lastId
      if (
        raft.commitIndex === before.commitIndex &&
        last.index === before.lastIndex &&
        last.term === before.lastTerm &&
        raft.role === before.role &&
        raft.term === before.term &&
        machine.appliedIndex === before.appliedIndex
      ) {
        continue
      }
      this.#changed(watched, node, before)
    }
  }

  /** A process is about to end, perhaps in the middle of an event: what it has called committed by now, others may have been told. */
  leaves(view: NodeView): void {
    const { node } = view
    if (node !== undefined) this.#takeCommitted(view, node, node.raft.term)
  }

  /** A machine has another disk, with nothing on it. */
  diskLost(view: NodeView): void {
    for (const checker of this.#checkers) checker.diskLost?.(view)
  }

  /** Everything is quiet: the last checks. */
  end(): void {
    for (const checker of this.#checkers) checker.atEnd?.()
  }

  #begin(watched: Watched, node: LiveNode): void {
    watched.node = node
    watched.terms = []
    watched.glance = { ...blank, appliedIndex: node.machine.appliedIndex, commitIndex: node.raft.commitIndex }
    for (const started of this.#ofStarts) started(watched.view)
  }

  #changed(watched: Watched, node: LiveNode, before: Glance): void {
    const { raft, log, machine } = node
    const last = log.lastId
    const isLogNew = last.index !== before.lastIndex || last.term !== before.lastTerm
    const fromIndex = isLogNew ? this.#findNew(watched, node, last.index) : 0
    const now: Glance = {
      role: raft.role,
      term: raft.term,
      lastIndex: last.index,
      lastTerm: last.term,
      commitIndex: raft.commitIndex,
      appliedIndex: machine.appliedIndex,
      rewroteFrom: fromIndex <= before.lastIndex ? fromIndex : 0,
    }
    watched.glance = now
    if (isLogNew) for (const changed of this.#ofLogs) changed(watched.view, node, fromIndex)
    this.#takeCommitted(watched.view, node, now.term)
    for (const changed of this.#ofNodes) changed(watched.view, node, now, before)
    for (const watcher of this.#watchers) watcher(watched.view, now, before)
  }

  #takeCommitted({ id }: NodeView, node: LiveNode, term: number): void {
    for (let index = this.#reference.commitIndex + 1; index <= node.raft.commitIndex; index += 1) {
      const record = this.#reference.take(this.#read(node, index), id, term)
      for (const committed of this.#ofCommits) committed(record)
    }
  }

  /** Where this node's disk has rotted, from another that holds the same entry. */
  #read(node: LiveNode, index: number): StoredEntry {
    const entry = readEntry(node.log, index)
    if (entry !== undefined) return entry
    for (const { view } of this.#watched) {
      const other = view.node
      const theirs = other === undefined || other === node ? undefined : sameEntryIn(other.log, node.log, index)
      if (theirs !== undefined) return theirs
    }
    throw new Violation('A47', `entry ${index} is called committed, and no running node can read it`)
  }

  /** The first entry that is not what was seen there before. */
  #findNew(watched: Watched, node: LiveNode, lastIndex: number): number {
    const { terms } = watched
    const runs = node.log.termRuns
    let run = runs.length - 1
    let index = lastIndex
    const termAt = (at: number): number => {
      while (run > 0 && (runs[run]?.firstIndex ?? 0) > at) run -= 1
      return runs[run]?.term ?? 0
    }
    const added: number[] = []
    while (index >= node.log.firstIndex) {
      const term = termAt(index)
      if (terms[index] === term) break
      added.push(term)
      index -= 1
    }
    terms.length = index + 1
    for (const term of added.reverse()) terms.push(term)
    return index + 1
  }
}

/** Functions of one kind, in the order of the list, each bound to its checker. */
function hooksOf<H extends Hook>(checkers: readonly Checker[], hook: H): NonNullable<Checker[H]>[] {
  return checkers.flatMap(checker => {
    const listens = checker[hook]
    return listens === undefined ? [] : [listens.bind(checker) as NonNullable<Checker[H]>]
  })
}
