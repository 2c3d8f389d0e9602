/**
 * A client's call through the simulated client network: a hop to the gateway, the use case inside the gateway's process, a hop back. Nothing of gRPC
 * but what matters: the gateway may be gone (refused at once, or the connection breaks under the call), unreachable, standing still; the client's
 * deadline may pass while the gateway still works on the call, whose effect then comes after the client has seen its error.
 */
import type { BrokerDoor } from '../../src/rpc/broker-door.ts'
import type { SimRandom } from '../sim/random.ts'
import type { Scheduler, SimProcess } from '../sim/scheduler.ts'

/** One process life of a node, as a client meets it. */
export interface GatewayLife {
  readonly process: SimProcess
  readonly broker: BrokerDoor
  /** The node's own monotonic clock. */
  nowMs(): number
  /** Calls that would break if it died now. */
  readonly openCalls: Set<() => void>
}

export interface Gateway {
  readonly id: number
  /** Of the broker, in routes. */
  readonly name: string
  /** undefined while the process is down. */
  readonly life: GatewayLife | undefined
  /** Clients get nothing in or out. */
  readonly isCutOff: boolean
}

export type CallOutcome<Answer> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** Nobody was there, or the connection broke: proves nothing, unless `wasRefused`. */
  | { readonly kind: 'unavailable'; readonly wasRefused: boolean }
  | { readonly kind: 'deadline' }

/** What the gateway's side of a call gets. */
export interface ServerSide<Answer> {
  readonly broker: BrokerDoor
  /** On the gateway's monotonic clock. */
  readonly deadlineMs: number
  readonly life: GatewayLife
  /** Once, in the gateway's turn. */
  reply(answer: Answer): void
  /** Set by the server side: runs in the gateway when the client has given up. */
  onCancel: (() => void) | undefined
}

/** Gateways keep this much of a client's deadline for the way back (DESIGN rule 17). */
const deadlineMarginMs = 300
const patienceMsMax = 2_500
/** After a standstill of this length a node serves nothing that waited in its sockets (src/rpc/call-gate.ts). */
const stallMs = 10_000

export function call<Answer>(
  scheduler: Scheduler,
  random: SimRandom,
  gateway: Gateway,
  timeoutMs: number,
  serve: (side: ServerSide<Answer>) => void,
  done: (outcome: CallOutcome<Answer>) => void,
  /** A long poll may outlast the ordinary patience. */
  patienceMs: number = patienceMsMax,
): void {
  let isOver = false
  let life: GatewayLife | undefined
  let side: ServerSide<Answer> | undefined
  const hop = (): number => 0.05 + random.next() * 2
  const finish = (outcome: CallOutcome<Answer>): void => {
    if (isOver) return
    isOver = true
    scheduler.cancel(deadline)
    life?.openCalls.delete(broke)
    done(outcome)
  }
  const broke = (): void => {
    scheduler.schedule(hop(), () => finish({ kind: 'unavailable', wasRefused: false }))
  }
  const deadline = scheduler.schedule(timeoutMs, () => {
    const { process } = life ?? {}
    if (!gateway.isCutOff && process !== undefined) scheduler.schedule(hop(), () => side?.onCancel?.(), process)
    finish({ kind: 'deadline' })
  })
  scheduler.schedule(hop(), () => {
    if (isOver || gateway.isCutOff) return
    const here = gateway.life
    if (here === undefined) return finish({ kind: 'unavailable', wasRefused: true })
    life = here
    here.openCalls.add(broke)
    const arrivedMs = scheduler.nowMs
    // From here on in the gateway's process: held while it is paused, dropped when it dies.
    scheduler.schedule(
      0,
      () => {
        if (scheduler.nowMs - arrivedMs > stallMs) return broke()
        side = {
          broker: here.broker,
          deadlineMs: here.nowMs() + Math.min(timeoutMs - deadlineMarginMs, patienceMs),
          life: here,
          reply(answer) {
            scheduler.schedule(hop(), () => {
              if (!gateway.isCutOff && gateway.life === here) finish({ kind: 'answer', answer })
            })
          },
          onCancel: undefined,
        }
        serve(side)
      },
      here.process,
    )
  })
}
