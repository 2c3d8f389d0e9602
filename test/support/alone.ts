/** One whole broker node that is a group of one, on simulated seams, and a hand that proposes what no client could. */
import { expect } from 'vitest'
import { CheckpointDisk } from '../../chaos/sim/checkpoint-store.ts'
import { MachineClock } from '../../chaos/sim/clock.ts'
import { SimulatedDisk } from '../../chaos/sim/disk.ts'
import { calmProfile, SimNetwork } from '../../chaos/sim/network.ts'
import { SimRandom } from '../../chaos/sim/random.ts'
import { Scheduler, type SimProcess } from '../../chaos/sim/scheduler.ts'
import { EntryKind } from '../../raft/index.ts'
import { BrokerNode } from '../../src/node/broker-node.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { crc32cOf } from '../../src/platform/bytes.ts'
import { encodeCommand } from '../../src/state/command-codec.ts'
import type { Command } from '../../src/state/command.ts'

/** A group of one, on a simulated machine. */
export class Alone {
  readonly scheduler = new Scheduler()
  readonly fatal: string[] = []
  readonly notes: string[] = []
  readonly disk: SimulatedDisk
  readonly checkpoints: CheckpointDisk
  readonly #random = new SimRandom('halt')
  readonly #clock = new MachineClock(this.scheduler, { wallStartMs: 1_000_000, monotonicStartMs: 0, driftPpm: 0 })
  readonly #network: SimNetwork
  #process: SimProcess | undefined
  #sequence = 0
  #lives = 0

  constructor() {
    this.disk = new SimulatedDisk({ scheduler: this.scheduler, random: this.#random.stream('disk') })
    this.checkpoints = new CheckpointDisk(this.scheduler, this.#random.stream('checkpoints'))
    this.#network = new SimNetwork(this.scheduler, this.#random.stream('network'), { mode: 'stream', profile: calmProfile })
  }

  /** A new process; it leads when this returns, unless it has stopped. */
  start(isReady = (node: BrokerNode) => node.machine.appliedIndex > 0 && node.raft.role === 'leader'): BrokerNode {
    const process = this.scheduler.newProcess(`n1#${++this.#lives}`)
    this.#process = process
    this.#sequence = 0
    const node = BrokerNode.start({
      config: {
        number: 1,
        clusterName: 'halt',
        members: [{ id: 1, name: 'n1', clientAddress: { host: 'n1', port: 8_081 }, peerAddress: { host: 'n1', port: 7_081 } }],
        peerListen: { host: 'n1', port: 7_081 },
        dataDirectory: '/data',
        segmentBytes: 64 * 1024,
        heartbeatMs: 50,
        electionTimeoutMs: 300,
        inflightBytesMax: 16 * 1024 * 1024,
      },
      seams: {
        clock: this.#clock.forProcess(process),
        random: this.#random,
        disk: this.disk.openProcess(process),
        network: this.#network.forProcess(process, 'n1'),
      },
      checkpoint: this.checkpoints.open(process),
      digestLarge: () => undefined,
      note: sentence => this.notes.push(sentence),
      onInstall: () => this.fatal.push('wants to install a snapshot'),
      onFatal: error => this.fatal.push(error.message),
    })
    const before = this.fatal.length
    this.scheduler.runUntilTrue(() => this.fatal.length > before || isReady(node), 5_000)
    return node
  }

  /** Proposes these, as a gateway that is no node would. Unless told otherwise, a checkpoint is made meanwhile. */
  propose(node: BrokerNode, commands: readonly Command[], runMs = 500): void {
    const bodies = commands.map(command => {
      const sentAtMs = Math.floor(node.raft.clusterTimeMs())
      const { parts, bytes } = encodeCommand({ node: 9, incarnation: this.#lives, sequence: ++this.#sequence, sentAtMs }, command)
      return { parts, bytes, crc: crc32cOf(parts) }
    })
    expect(node.raft.propose(EntryKind.data, bodies)).toBeUndefined()
    this.scheduler.runFor(runMs)
  }

  /** kill -9. */
  kill(): void {
    const process = mustExist(this.#process, 'process')
    process.kill()
    this.disk.kill()
    this.#network.processDied(process)
  }
}

/** So many entries that mean nothing. */
export const barriers = (count: number): Command[] => Array.from({ length: count }, () => ({ kind: 'barrier' }))
