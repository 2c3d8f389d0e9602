/**
 * Which clients speak over which connection (DESIGN rule 19). A connection may serve several clients and a client may have several connections;
 * the broker hears of a client's first and of its last. A connection is known by its remote `address:port`, which is what a call can tell.
 */
export interface ClientPresence {
  /** Its first connection to this node. */
  clientConnected(clientId: string): void
  /** Its last one closed. */
  clientDisconnected(clientId: string): void
}

/** A connection that names more clients than this is not believed: the rest are served, but not watched. */
const clientsPerConnectionMax = 4_096

export class Connections {
  readonly #presence: ClientPresence
  readonly #clientsOf = new Map<string, Set<string>>()
  /** Connections of each client. */
  readonly #counts = new Map<string, number>()

  constructor(presence: ClientPresence) {
    this.#presence = presence
  }

  get clientCount(): number {
    return this.#counts.size
  }

  get connectionCount(): number {
    return this.#clientsOf.size
  }

  opened(peer: string): void {
    // A new connection from the same port: the close of the old one is still to come, its clients go now.
    if (this.#clientsOf.has(peer)) this.closed(peer)
    this.#clientsOf.set(peer, new Set())
  }

  /** A call of `clientId` came over `peer`. Cheap when it is known. */
  heard(peer: string, clientId: string): void {
    const clients = this.#clientsOf.get(peer)
    // No such connection: it closed while its last call was being read.
    if (clients === undefined || clients.has(clientId) || clients.size >= clientsPerConnectionMax) return
    clients.add(clientId)
    const count = this.#counts.get(clientId) ?? 0
    this.#counts.set(clientId, count + 1)
    if (count === 0) this.#presence.clientConnected(clientId)
  }

  closed(peer: string): void {
    const clients = this.#clientsOf.get(peer)
    if (clients === undefined) return
    this.#clientsOf.delete(peer)
    for (const clientId of clients) {
      const count = this.#counts.get(clientId) ?? 0
      if (count > 1) {
        this.#counts.set(clientId, count - 1)
        continue
      }
      this.#counts.delete(clientId)
      this.#presence.clientDisconnected(clientId)
    }
  }
}
