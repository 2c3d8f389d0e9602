/** A broker node that must not go on: what it did not understand is the last entry that it looked at, and no checkpoint is made of it. */
import { expect, test } from 'vitest'
import { CheckpointDisk } from '../chaos/sim/checkpoint-store.ts'
import { MachineClock } from '../chaos/sim/clock.ts'
import { SimulatedDisk } from '../chaos/sim/disk.ts'
import { calmProfile, SimNetwork } from '../chaos/sim/network.ts'
import { SimRandom } from '../chaos/sim/random.ts'
import { Scheduler } from '../chaos/sim/scheduler.ts'
import { EntryKind } from '../raft/index.ts'
import { BrokerNode } from '../src/node/broker-node.ts'
import { crc32c } from '../src/platform/bytes.ts'

test('a node that meets an entry it can not apply stops with its sentence, applies nothing behind it and saves nothing of it', () => {
  const scheduler = new Scheduler()
  const random = new SimRandom('halt')
  const clock = new MachineClock(scheduler, { wallStartMs: 1_000_000, monotonicStartMs: 0, driftPpm: 0 })
  const disk = new SimulatedDisk({ scheduler, random: random.stream('disk') })
  const checkpoints = new CheckpointDisk(scheduler, random.stream('checkpoints'))
  const network = new SimNetwork(scheduler, random.stream('network'), { mode: 'stream', profile: calmProfile })
  const process = scheduler.newProcess('n1')
  const fatal: string[] = []
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
    seams: { clock: clock.forProcess(process), random, disk: disk.openProcess(process), network: network.forProcess(process, 'n1') },
    checkpoint: checkpoints.open(process),
    digestLarge: () => undefined,
    onInstall: () => fatal.push('wants to install a snapshot'),
    onFatal: error => fatal.push(error.message),
  })
  scheduler.runUntilTrue(() => node.machine.appliedIndex > 0 && node.raft.role === 'leader', 5_000)
  // What a new leader has to say of its group is in the log by then.
  scheduler.runFor(2_000)
  const before = node.machine.appliedIndex
  const garbage = Buffer.from('no command')
  const body = { parts: [garbage], bytes: garbage.length, crc: crc32c(garbage) }
  expect(node.raft.propose(EntryKind.data, [body, body, body])).toBeUndefined()
  scheduler.runFor(2_000)
  expect(fatal).toEqual([expect.stringContaining('cannot be applied')])
  expect(node.machine.appliedIndex).toBe(before)
  expect(checkpoints.open(scheduler.newProcess('n1')).loaded?.appliedIndex ?? 0).toBeLessThanOrEqual(before)
})
