/** What a machine of the simulated group needs of the world around it, and what it tells it. */
import type { RaftTraceEvent } from '../raft/index.ts'
import type { ProposeOutcome } from '../src/broker/outcome.ts'
import type { ProposalName } from './checkers/fates.ts'
import type { WorldConfiguration } from './configuration.ts'
import type { Host } from './host.ts'
import type { SimNetwork } from './sim/network.ts'
import type { SimRandom } from './sim/random.ts'
import type { Scheduler } from './sim/scheduler.ts'
import type { Mending, Said } from './wire-tap.ts'

/** What all machines share. */
export interface HostWorld {
  readonly configuration: WorldConfiguration
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly random: SimRandom
  readonly gateways: readonly Host[]
  say(who: string, text: string): void
  /** A process life has begun, before any of its events ran. */
  started(host: Host): void
  /** A process life is about to end, perhaps in the middle of an event. */
  leaves(host: Host): void
  /** A process life has ended. */
  left(): void
  /** A start tells what it found. */
  noted(host: Host, sentence: string): void
  /** Raft tells what it does. */
  traced(host: Host, event: RaftTraceEvent): void
  /** Something is done to a machine. */
  troubled(): void
  /** A node has told whoever proposed this how it ended. */
  fate(host: Host, proposal: ProposalName, outcome: ProposeOutcome): void
  /** A message leaves for a peer. */
  said(host: Host, message: Said): void
  mends(host: Host, answer: Mending): void
  /** The calendar clock of a machine is about to jump, or has jumped. */
  clockMoves(): void
  /** The group could bear the loss of this machine's disk. */
  mayLoseDisk(host: Host): boolean
  /** A machine has another disk, with nothing on it. */
  lostDisk(host: Host, wasLeader: boolean): void
  /** The group still goes by the disk that this node has lost. */
  isMissing(node: number): boolean
  /** Some disk is missing: no other one may be harmed. */
  readonly isShortOfDisks: boolean
  /** A node says that it must stop. */
  fatal(host: Host, error: Error): void
}
