/**
 * Clients and their lives (rule 19). A client lives while it has a connection to a node that is up; without any it is gone after 10 s, or after a
 * fraction of a second when it said goodbye. Then what it was given becomes visible again, and it is forgotten.
 * Connections are bound to nodes: a goodbye or a closed connection at one node ends nothing at another, where a new process may have come up with
 * the same id. A pop connects its client to the node that proposed it, so a gateway that is slow to announce a client does not lose it.
 */
import type { ClientsChanged } from './command.ts'
import type { Hash64 } from './ids.ts'
import { clientGoneMs } from './limits.ts'
import { nowMs } from './registers.ts'
import { type State, tags } from './state.ts'
import { type Cell, CellTable, newMark } from './tables/cell-table.ts'
import { DeadlineHeap } from './tables/deadline-heap.ts'
import { emptyList, type RowList } from './tables/links.ts'
import { WordReader } from './tables/words.ts'
import { mustExist } from '../platform/assert.ts'

export interface Client extends Cell {
  /** Derived: its number on this machine, for the rows' links. From 1. */
  readonly slot: number
  readonly low: number
  readonly high: number
  /** Nodes it is connected to, ascending. */
  nodes: number[]
  /** When it is gone; Infinity while it is connected. */
  goneAtMs: number
  /** It said goodbye somewhere since it last came. */
  saidGoodbye: boolean
  /** Derived: its deliveries, in the order of their sequence. */
  readonly rows: RowList
  /** Derived: its place in the heap. */
  heapPlace: number
}

export interface Clients {
  readonly byHash: Map<string, Client>
  readonly slots: (Client | undefined)[]
  readonly freeSlots: number[]
  readonly heap: DeadlineHeap
  readonly table: CellTable<Client>
}

export function newClients(): Clients {
  const slots: (Client | undefined)[] = [undefined]
  const clients: Clients = {
    byHash: new Map(),
    slots,
    freeSlots: [],
    heap: new DeadlineHeap({
      isBefore: (left, right) => isBefore(slots[left] as Client, slots[right] as Client),
      placeOf: slot => (slots[slot] as Client).heapPlace,
      setPlace: (slot, place) => {
        ;(slots[slot] as Client).heapPlace = place
      },
    }),
    table: new CellTable<Client>({
      tag: tags.clients,
      writeKey: (client, out) => void out.u32(client.low).u32(client.high),
      writeValue: (client, out) => {
        out.u64(client.goneAtMs === Infinity ? 0 : client.goneAtMs).flag(client.saidGoodbye)
        for (const node of client.nodes) out.u32(node)
      },
      load: (key, value) => loadClient(clients, key, value),
    }),
  }
  return clients
}

function isBefore(left: Client, right: Client): boolean {
  return left.high !== right.high ? left.high < right.high : left.low < right.low
}

function keyOf(client: Hash64): string {
  return `${client.high}:${client.low}`
}

export function findClient(state: State, client: Hash64): Client | undefined {
  return state.clients.byHash.get(keyOf(client))
}

export function clientOfSlot(clients: Clients, slot: number): Client {
  return mustExist(clients.slots[slot], 'client-of-slot', slot)
}

/** The client, connected to this node as far as the node is up; undefined when it has no id or there are too many clients. */
export function connectClient(state: State, hash: Hash64, node: number): Client | undefined {
  if (hash.low === 0 && hash.high === 0) return undefined
  const { clients } = state
  let client = clients.byHash.get(keyOf(hash))
  if (client === undefined) {
    if (clients.table.count >= state.limits.clientsMax) return undefined
    client = addClient(clients, hash)
    clients.table.add(client)
  }
  const isNodeUp = state.nodes.byNumber.get(node)?.isUp ?? true
  if (isNodeUp) {
    if (client.goneAtMs === Infinity && !client.saidGoodbye && client.nodes.includes(node)) return client
    if (!client.nodes.includes(node)) client.nodes = [...client.nodes, node].sort((a, b) => a - b)
    setGone(clients, client, Infinity)
  } else if (client.nodes.length === 0) setGone(clients, client, nowMs(state.registers) + clientGoneMs)
  client.saidGoodbye = false
  clients.table.changed(client)
  return client
}

export function changeClients(state: State, node: number, command: ClientsChanged): void {
  for (const { client: hash, change } of command.changes) {
    if (change === 'connected') connectClient(state, hash, node)
    else {
      const client = findClient(state, hash)
      if (client !== undefined) disconnectClient(state, client, node, change === 'terminated')
    }
  }
}

function disconnectClient(state: State, client: Client, node: number, saidGoodbye: boolean): void {
  const { clients } = state
  const wasConnected = client.nodes.includes(node)
  if (wasConnected) client.nodes = client.nodes.filter(each => each !== node)
  if (saidGoodbye) client.saidGoodbye = true
  if (client.nodes.length === 0) {
    const goneAtMs = nowMs(state.registers) + (client.saidGoodbye ? state.constants.clientTerminatedMs : clientGoneMs)
    if (goneAtMs < client.goneAtMs) setGone(clients, client, goneAtMs)
  }
  clients.table.changed(client)
}

/** The node is down or another process: nobody is connected to it any more. */
export function disconnectNode(state: State, node: number): void {
  for (const client of state.clients.byHash.values()) {
    if (client.nodes.includes(node)) disconnectClient(state, client, node, false)
  }
}

/** It is gone and has no rows any more. */
export function forgetClient(state: State, client: Client): void {
  const { clients } = state
  clients.heap.remove(client.slot)
  clients.table.remove(client)
  clients.byHash.delete(keyOf(client))
  clients.slots[client.slot] = undefined
  clients.freeSlots.push(client.slot)
}

function addClient(clients: Clients, hash: Hash64): Client {
  const slot = clients.freeSlots.pop() ?? clients.slots.length
  const client: Client = {
    slot,
    low: hash.low,
    high: hash.high,
    nodes: [],
    goneAtMs: Infinity,
    saidGoodbye: false,
    rows: emptyList(),
    heapPlace: 0,
    mark: newMark(),
  }
  clients.slots[slot] = client
  clients.byHash.set(keyOf(hash), client)
  return client
}

function setGone(clients: Clients, client: Client, goneAtMs: number): void {
  client.goneAtMs = goneAtMs
  if (goneAtMs === Infinity) clients.heap.remove(client.slot)
  else clients.heap.put(client.slot, goneAtMs)
}

function loadClient(clients: Clients, key: Uint8Array, value: Uint8Array): string | undefined {
  const reader = new WordReader().open(key, 1)
  const client = addClient(clients, reader.hash())
  const keyProblem = reader.end()
  reader.open(value, 0)
  const goneAtMs = reader.u64()
  client.saidGoodbye = reader.flag()
  const nodeCount = value.length / 4 - 3
  for (let i = 0; i < nodeCount && reader.problem === undefined; i++) client.nodes.push(reader.u32())
  if (goneAtMs !== 0) setGone(clients, client, goneAtMs)
  clients.table.addStored(client)
  return keyProblem ?? reader.end()
}
