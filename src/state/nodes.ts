/**
 * Gateway nodes: their proposal sessions (rule 6), whether they are up (rule 16), and what they delivered and have not confirmed (rule 14).
 * When a node goes down, or comes back in a new incarnation, it forgets both: its unconfirmed deliveries become visible again, a bounded piece
 * with each entry, and its clients count as unconnected there.
 */
import type { Envelope } from './command.ts'
import { type State, tags } from './state.ts'
import { type Cell, CellTable, newMark } from './tables/cell-table.ts'
import { emptyList, type RowList } from './tables/links.ts'
import { WordReader } from './tables/words.ts'
import { disconnectNode } from './clients.ts'

export interface Node extends Cell {
  readonly node: number
  incarnation: number
  /** The last one taken, or refused while it was no member. */
  sequence: number
  isUp: boolean
  /** Its unconfirmed deliveries with an order number below this are to be released; 0 = none. */
  drainBelow: number
  /** When it became a member after the group had begun, as the entry's clock says; 0 = with the group, or by an older build. */
  joinedAtMs: number
  /** It was removed, and nothing was taken from it since: what it began is over, but what was taken or refused of that life of it is not taken again. */
  isRetired: boolean
  /** Derived: its unconfirmed deliveries, by order number. */
  readonly unconfirmed: RowList
}

export interface Nodes {
  readonly byNumber: Map<number, Node>
  /** By number. */
  readonly all: Node[]
  readonly table: CellTable<Node>
  /** Derived: how many have a `drainBelow`. */
  drainingCount: number
}

const valueBytesWithoutJoin = 24
const valueBytesWithJoin = 32

export function newNodes(): Nodes {
  const nodes: Nodes = {
    byNumber: new Map(),
    all: [],
    drainingCount: 0,
    table: new CellTable<Node>({
      tag: tags.nodes,
      writeKey: (node, out) => void out.u32(node.node),
      writeValue: (node, out) => {
        out.u32(node.incarnation).u64(node.sequence).flag(node.isUp).u64(node.drainBelow)
        if (node.joinedAtMs !== 0 || node.isRetired) out.u64(node.joinedAtMs)
        if (node.isRetired) out.flag(true)
      },
      load: (key, value) => loadNode(nodes, key, value),
    }),
  }
  return nodes
}

/** The node; it counts as up until the leader says otherwise. */
export function ensureNode(state: State, number: number): Node {
  const { nodes } = state
  const existing = nodes.byNumber.get(number)
  if (existing !== undefined) return existing
  const node = addNode(nodes, number)
  nodes.table.add(node)
  return node
}

function addNode(nodes: Nodes, number: number): Node {
  const node: Node = {
    node: number,
    incarnation: 0,
    sequence: 0,
    isUp: true,
    drainBelow: 0,
    joinedAtMs: 0,
    isRetired: false,
    unconfirmed: emptyList(),
    mark: newMark(),
  }
  nodes.byNumber.set(number, node)
  let at = nodes.all.length
  while (at > 0 && (nodes.all[at - 1] as Node).node > number) at--
  nodes.all.splice(at, 0, node)
  return node
}

/** Whether this proposal was taken before, or comes after a later one: then it changes nothing. */
export function isCopy(state: State, envelope: Envelope): boolean {
  const node = state.nodes.byNumber.get(envelope.node)
  if (node === undefined) return false
  // Whoever has the number next may count its lives from below.
  if (envelope.incarnation !== node.incarnation) return envelope.incarnation < node.incarnation && !node.isRetired
  return envelope.sequence <= node.sequence
}

/** The proposal is taken: nothing at or below it will be, from this node. */
export function advanceSession(state: State, envelope: Envelope): void {
  const node = ensureNode(state, envelope.node)
  const isRestart = envelope.incarnation !== node.incarnation && node.sequence > 0 && !node.isRetired
  node.isRetired = false
  node.incarnation = envelope.incarnation
  node.sequence = envelope.sequence
  state.nodes.table.changed(node)
  if (isRestart) forgetGateway(state, node)
}

/**
 * The proposal is refused, for its node was no member when it was sent: no copy of it is taken later, when the node is back and its clock was ahead
 * (seed 40004998). The session of who has that number now is not touched by what comes of another life: it may count its lives from below.
 */
export function noteRefusal(state: State, envelope: Envelope, isMember: boolean): void {
  const node = ensureNode(state, envelope.node)
  const hasSession = node.sequence > 0 && !node.isRetired
  if (hasSession ? envelope.incarnation !== node.incarnation : envelope.incarnation < node.incarnation) return
  node.incarnation = envelope.incarnation
  node.sequence = envelope.sequence
  if (!isMember) node.isRetired = true
  state.nodes.table.changed(node)
}

export function changeNode(state: State, number: number, isUp: boolean): void {
  const node = ensureNode(state, number)
  if (node.isUp === isUp) return
  node.isUp = isUp
  state.nodes.table.changed(node)
  if (!isUp) forgetGateway(state, node)
}

/** It was no member before. What was sent under its number until now was sent by who had it then. */
export function admitNode(state: State, number: number, wallMs: number): void {
  const node = ensureNode(state, number)
  node.joinedAtMs = wallMs
  state.nodes.table.changed(node)
}

/**
 * It is no member any more. Its row stays, as every row does: there are no more of them than numbers were ever given. Whoever has that number next begins
 * a session of its own.
 */
export function retireNode(state: State, node: Node): void {
  if (node.isRetired && !node.isUp) return
  node.isRetired = true
  node.isUp = false
  state.nodes.table.changed(node)
  forgetGateway(state, node)
}

function forgetGateway(state: State, node: Node): void {
  disconnectNode(state, node.node)
  if (node.unconfirmed.head === 0) return
  if (node.drainBelow === 0) state.nodes.drainingCount++
  node.drainBelow = state.registers.row.nextOrder
  state.nodes.table.changed(node)
}

export function endDrain(state: State, node: Node): void {
  node.drainBelow = 0
  state.nodes.drainingCount--
  state.nodes.table.changed(node)
}

export function isUp(state: State, number: number): boolean {
  return state.nodes.byNumber.get(number)?.isUp ?? true
}

function loadNode(nodes: Nodes, key: Uint8Array, value: Uint8Array): string | undefined {
  const reader = new WordReader().open(key, 1)
  const node = addNode(nodes, reader.u32())
  const keyProblem = reader.end()
  reader.open(value, 0)
  node.incarnation = reader.u32()
  node.sequence = reader.u64()
  node.isUp = reader.flag()
  node.drainBelow = reader.u64()
  if (value.length > valueBytesWithoutJoin) node.joinedAtMs = reader.u64()
  if (value.length > valueBytesWithJoin) node.isRetired = reader.flag()
  if (node.drainBelow !== 0) nodes.drainingCount++
  nodes.table.addStored(node)
  return keyProblem ?? reader.end()
}
