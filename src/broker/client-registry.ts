/**
 * Which consumers live on this node (rule 19). What the log is told is changes only: a consumer appeared here, its last connection here closed,
 * it said goodbye, or nothing was heard of it for 120 s although its connection looks open. Producers hold nothing that must be given back:
 * they are not announced. Changes are gathered; one command is on its way at a time.
 *
 * Invariant: of two changes of one client the later one is the later in the log; a change that is surely not in the log is proposed again,
 * unless the client has changed since. So only the first word on a command counts: after "unknown" its changes are proposed once more, and its fate,
 * which comes with the next command's, says nothing about what the client is by then.
 */
import { bounds } from '../state/command-codec.ts'
import type { ClientsChanged } from '../state/command.ts'
import type { Clock } from '../platform/clock.ts'
import type { Deadlines } from './deadlines.ts'
import { hash64 } from './hash.ts'
import { isUnseen, type ProposeOutcome } from './outcome.ts'
import type { Proposer } from './proposer.ts'

type Change = ClientsChanged['changes'][number]['change']

/** The changes of one command. */
type Batch = readonly (readonly [clientId: string, change: Change])[]

interface Client {
  isConnected: boolean
  /** It has received, or said that it is a consumer. */
  isConsumer: boolean
  /** The log was told that it is here, or will be. */
  isAnnounced: boolean
  /** It has been announced, so the log may think that it is here, whatever it was told since. */
  wasAnnounced: boolean
  /** It said goodbye, and has not come back since: no pop may be made for what it asked before, which would connect it again. */
  hasLeft: boolean
  heardAtMs: number
}

export interface ClientRegistryOptions {
  readonly proposer: Proposer
  readonly deadlines: Deadlines
  readonly clock: Clock
}

/** A client whose connection looks open and that says nothing for so long is gone (half-open TCP). */
const silentMsMax = 120_000
const sweepIntervalMs = 10_000
const clientsMax = 100_000
const commandPatienceMs = 5_000

export class ClientRegistry {
  readonly #options: ClientRegistryOptions
  readonly #clients = new Map<string, Client>()
  /** What the log is to be told next; the newest per client, in the order of happening. */
  readonly #changes = new Map<string, Change>()
  /** On its way, or put back and to be tried again when there may be room. */
  #outstanding: Batch | undefined
  #isSweeping = false

  constructor(options: ClientRegistryOptions) {
    this.#options = options
    options.proposer.addGatherer(() => {
      this.#propose()
    })
  }

  /** Clients known on this node. */
  get count(): number {
    return this.#clients.size
  }

  /** Its first connection to this node. */
  connected(clientId: string): void {
    const client = this.#find(clientId)
    if (client === undefined) return
    client.isConnected = true
    if (client.isConsumer && !client.isAnnounced) this.#announce(clientId, client)
  }

  /** Its last connection to this node closed. */
  disconnected(clientId: string): void {
    const client = this.#clients.get(clientId)
    if (client === undefined) return
    this.#clients.delete(clientId)
    if (client.wasAnnounced) this.#change(clientId, 'disconnected')
  }

  /** It asked for something. */
  heard(clientId: string | undefined): void {
    if (clientId === undefined) return
    const client = this.#find(clientId)
    if (client?.isConsumer === true && !client.isAnnounced) this.#announce(clientId, client)
  }

  /** It asked for messages, or said what it is. Returns whether its end will be noticed: it has a name, and not too many are known. */
  heardConsumer(clientId: string | undefined): boolean {
    const client = clientId === undefined ? undefined : this.#find(clientId)
    if (clientId === undefined || client === undefined) return false
    client.isConsumer = true
    client.hasLeft = false
    if (!client.isAnnounced) this.#announce(clientId, client)
    return true
  }

  /** It said goodbye. What it still asks for afterwards makes it come back; what it asked for before does not. */
  terminated(clientId: string): void {
    const client = this.#clients.get(clientId)
    if (client === undefined) return
    client.hasLeft = true
    // Elsewhere it says goodbye elsewhere: lives are bound to nodes.
    if (!client.isAnnounced) return
    client.isAnnounced = false
    client.isConsumer = false
    this.#change(clientId, 'terminated')
  }

  /** Of one that was noticed: it said goodbye or its last connection closed, and it has asked for nothing since. */
  hasLeft(clientId: string | undefined): boolean {
    if (clientId === undefined) return false
    return this.#clients.get(clientId)?.hasLeft ?? true
  }

  #find(clientId: string): Client | undefined {
    const heardAtMs = this.#options.clock.nowMs()
    const found = this.#clients.get(clientId)
    if (found !== undefined) {
      found.heardAtMs = heardAtMs
      return found
    }
    if (this.#clients.size >= clientsMax) return undefined
    const client: Client = { isConnected: false, isConsumer: false, isAnnounced: false, wasAnnounced: false, hasLeft: false, heardAtMs }
    this.#clients.set(clientId, client)
    this.#sweepLater()
    return client
  }

  #announce(clientId: string, client: Client): void {
    client.isAnnounced = true
    client.wasAnnounced = true
    this.#change(clientId, 'connected')
  }

  #change(clientId: string, change: Change): void {
    this.#note(clientId, change)
    if (this.#outstanding === undefined) this.#options.proposer.requestFlush()
  }

  #propose(): void {
    if (this.#outstanding !== undefined || this.#changes.size === 0) return
    const { proposer, clock } = this.#options
    const batch: Batch = [...this.#changes].slice(0, bounds.changesMax)
    for (const [clientId] of batch) this.#changes.delete(clientId)
    const changes = batch.map(([clientId, change]) => ({ client: hash64(clientId), change }))
    this.#outstanding = batch
    const isTaken = proposer.propose({ kind: 'clientsChanged', changes }, clock.nowMs() + commandPatienceMs, outcome => {
      this.#onOutcome(batch, outcome)
    })
    if (isTaken) return
    // No room: once more when there is some.
    this.#putBack(batch)
    this.#options.deadlines.after(commandPatienceMs, () => {
      this.#outstanding = undefined
      proposer.requestFlush()
    })
  }

  /** May come twice: unknown, and the fate later. */
  #onOutcome(batch: Batch, outcome: ProposeOutcome): void {
    if (this.#outstanding !== batch) return
    this.#outstanding = undefined
    // Unknown counts as not there: to say a change twice does no harm.
    if (outcome.kind !== 'applied' || isUnseen(outcome)) this.#putBack(batch)
    if (this.#changes.size > 0) this.#options.proposer.requestFlush()
  }

  #putBack(batch: Batch): void {
    const later = [...this.#changes]
    this.#changes.clear()
    for (const [clientId, change] of batch) this.#changes.set(clientId, change)
    for (const [clientId, change] of later) this.#note(clientId, change)
  }

  /** The newest counts; but a goodbye is a disconnection, and says more. */
  #note(clientId: string, change: Change): void {
    const before = this.#changes.get(clientId)
    this.#changes.delete(clientId)
    this.#changes.set(clientId, before === 'terminated' && change === 'disconnected' ? before : change)
  }

  #sweepLater(): void {
    if (this.#isSweeping) return
    this.#isSweeping = true
    this.#options.deadlines.after(sweepIntervalMs, () => {
      this.#isSweeping = false
      this.#sweep()
      if (this.#clients.size > 0) this.#sweepLater()
    })
  }

  #sweep(): void {
    const silentSinceMs = this.#options.clock.nowMs() - silentMsMax
    for (const [clientId, client] of this.#clients) {
      if (client.heardAtMs > silentSinceMs) continue
      if (client.isAnnounced) this.#change(clientId, 'disconnected')
      client.isAnnounced = false
      if (!client.isConnected) this.#clients.delete(clientId)
    }
  }
}
