/**
 * The gateways as one client knows them, in the way of the official clients: it asks for the route when it starts, until it has one, after 10 s and then
 * every 30 s; a question that fails leaves it with the route it had. Nothing else makes it ask: after a change of members it may knock at closed doors for
 * half a minute. It says every 10 s to every node of its route that it lives.
 *
 * Producers differ in what they do with a node through which a send failed: `java` leaves it alone until a heartbeat of it succeeds, `node` for good (until
 * all are left alone), `python` does not care. An impatient one asks for the route after a failure; none of the official ones does.
 */
import type { Refusal } from '../../src/broker/refusal.ts'
import type { HeartbeatAnswer, RouteAnswer } from '../../src/broker/requests.ts'
import type { SimRandom } from '../sim/random.ts'
import type { ClientWorld } from './client-world.ts'
import { call, type Gateway, type GatewayLife } from './rpc.ts'

const kinds = ['java', 'node', 'python', 'impatient'] as const

export interface DoorsOptions {
  readonly name: string
  readonly clientId: string | undefined
  /** undefined = a producer. */
  readonly consumerGroup: string | undefined
  readonly topic: string
  /** Its connection to this life of a gateway is used. */
  onUse?(gateway: Gateway, life: GatewayLife): void
}

const timeoutMs = 3_000
const retryMs = 1_000
const firstRefreshMs = 10_000
const refreshMs = 30_000
const heartbeatMs = 10_000

export class Doors {
  readonly #world: ClientWorld
  readonly #options: DoorsOptions
  readonly #random: SimRandom
  readonly #kind: (typeof kinds)[number]
  #route: readonly Gateway[] = []
  readonly #isolated = new Set<Gateway>()
  #last: Gateway | undefined
  #isClosed = false

  constructor(world: ClientWorld, options: DoorsOptions) {
    this.#world = world
    this.#options = options
    this.#random = world.stream(`doors/${options.name}`)
    this.#kind = this.#random.pick(kinds)
  }

  start(): void {
    this.#refresh(firstRefreshMs)
    this.#later(this.#kind === 'java' ? retryMs : heartbeatMs, () => this.#beat())
  }

  /** The client is gone: it asks and says nothing more. */
  close(): void {
    this.#isClosed = true
  }

  /** Any node that it knows. */
  pick(random: SimRandom): Gateway {
    return random.pick(this.#known())
  }

  /** For a send: now and then another one than the last, among those that are not left alone. */
  pickForSend(random: SimRandom, isOther: boolean): Gateway {
    const known = this.#known()
    const open = known.filter(gateway => !this.#isolated.has(gateway))
    const able = open.length > 0 ? open : known
    if (isOther || this.#last === undefined || !able.includes(this.#last)) this.#last = random.pick(able)
    return this.#last
  }

  /** A send through it failed: the next attempt goes elsewhere, if there is another. */
  failed(gateway: Gateway): void {
    if (this.#kind !== 'python') this.#isolated.add(gateway)
    if (this.#kind === 'impatient') this.#ask(() => undefined)
    const known = this.#known()
    const others = known.filter(other => other !== gateway && !this.#isolated.has(other))
    const next = known[(known.indexOf(gateway) + 1) % known.length]
    this.#last = others.includes(next as Gateway) || others.length === 0 ? next : others[0]
  }

  /** Before the first answer: behind the name that it was configured with. */
  #known(): readonly Gateway[] {
    return this.#route.length > 0 ? this.#route : this.#world.accessPoint()
  }

  #later(delayMs: number, run: () => void): void {
    this.#world.scheduler.schedule(delayMs, () => {
      if (!this.#isClosed) run()
    })
  }

  #refresh(nextMs: number): void {
    this.#ask(hasRoute => {
      if (hasRoute || this.#route.length > 0) this.#later(nextMs, () => this.#refresh(refreshMs))
      else this.#later(retryMs, () => this.#refresh(nextMs))
    })
  }

  #ask(done: (hasRoute: boolean) => void): void {
    const { scheduler } = this.#world
    const { clientId, topic } = this.#options
    call<RouteAnswer | Refusal>(
      scheduler,
      this.#random,
      this.#random.pick(this.#world.accessPoint()),
      timeoutMs,
      side => side.broker.queryRoute({ clientId, deadlineMs: side.deadlineMs, topic }, answer => side.reply(answer)),
      outcome => {
        if (outcome.kind !== 'answer' || outcome.answer.kind !== 'route') return done(false)
        const { brokers } = outcome.answer
        this.#take(this.#world.gateways.filter(gateway => brokers.some(({ name }) => name === gateway.name)))
        done(this.#route.length > 0)
      },
    )
  }

  #take(route: readonly Gateway[]): void {
    const names = (gateways: readonly Gateway[]): string => gateways.map(({ name }) => name).join(' ')
    if (names(route) !== names(this.#route)) this.#world.trace.say('client', `${this.#options.name}: the route is ${names(route)}`)
    this.#route = route
  }

  #beat(): void {
    for (const gateway of this.#route) this.#sayAlive(gateway)
    this.#later(heartbeatMs, () => this.#beat())
  }

  #sayAlive(gateway: Gateway): void {
    const { clientId, consumerGroup } = this.#options
    const clientType = consumerGroup === undefined ? 'producer' : 'pushConsumer'
    call<HeartbeatAnswer | Refusal>(
      this.#world.scheduler,
      this.#random,
      gateway,
      timeoutMs,
      side => {
        this.#options.onUse?.(gateway, side.life)
        side.broker.heartbeat({ clientId, deadlineMs: side.deadlineMs, clientType, consumerGroup }, answer => side.reply(answer))
      },
      outcome => {
        if (outcome.kind === 'answer' && outcome.answer.kind === 'alive' && this.#kind !== 'node') this.#isolated.delete(gateway)
      },
    )
  }
}
