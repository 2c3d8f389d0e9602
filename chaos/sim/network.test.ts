import { describe, expect, it } from 'vitest'
import type { CloseReason, Connection, ConnectionHandlers } from '../../src/platform/network.ts'
import { networkContract } from '../../src/platform/network-contract.ts'
import type { LinkProfile } from './network.ts'
import { SimNetwork, calmProfile } from './network.ts'
import { SimRandom } from './random.ts'
import type { SimProcess } from './scheduler.ts'
import { Scheduler } from './scheduler.ts'

type Mode = 'stream' | 'datagram'

function contractOn(name: string, mode: Mode, profile: LinkProfile): void {
  networkContract(name, () => {
    const scheduler = new Scheduler()
    const network = new SimNetwork(scheduler, new SimRandom('1'), { mode, profile })
    return {
      server: network.forProcess(scheduler.newProcess('server'), 'server'),
      client: network.forProcess(scheduler.newProcess('client'), 'client'),
      address: { host: 'server', port: 0 },
      until(condition) {
        scheduler.runFor(1)
        if (!scheduler.runUntilTrue(condition, 5_000)) throw new Error('did not happen within 5 s')
        return Promise.resolve()
      },
      close: () => undefined,
    }
  })
}

contractOn('the simulated network, stream-like', 'stream', calmProfile)
contractOn('the simulated network, stream-like, cutting, losing and late', 'stream', {
  ...calmProfile,
  jitterMs: 20,
  cutPpm: 500_000,
  lossPpm: 100_000,
  latePpm: 100_000,
  lateMs: 100,
})
// Without loss and jitter the order of datagrams is the order of writing.
contractOn('the simulated network, datagram-like', 'datagram', { ...calmProfile, jitterMs: 0 })

interface Pair {
  scheduler: Scheduler
  network: SimNetwork
  client: SimProcess
  server: SimProcess
  near: Connection
  far: Connection
  heard: string[]
  closes: { near: CloseReason[]; far: CloseReason[] }
  dial: (handlers: Partial<ConnectionHandlers>) => Connection
}

function pair(mode: Mode, profile: LinkProfile = calmProfile, seed = '1'): Pair {
  const scheduler = new Scheduler()
  const network = new SimNetwork(scheduler, new SimRandom(seed), { mode, profile })
  const client = scheduler.newProcess('client')
  const server = scheduler.newProcess('server')
  const heard: string[] = []
  const closes = { near: [] as CloseReason[], far: [] as CloseReason[] }
  let far: Connection | undefined
  network.forProcess(server, 's').listen(
    { host: 's', port: 1 },
    connection => {
      far ??= connection
      return { onData: chunk => heard.push(Buffer.from(chunk).toString()), onClose: reason => closes.far.push(reason) }
    },
    () => undefined,
  )
  const dial = (handlers: Partial<ConnectionHandlers>): Connection =>
    network
      .forProcess(client, 'c')
      .dial({ host: 's', port: 1 }, { onData: () => undefined, onClose: reason => closes.near.push(reason), ...handlers })
  const near = dial({})
  scheduler.runFor(10)
  if (far === undefined) throw new Error('not accepted')
  return { scheduler, network, client, server, near, far, heard, closes, dial }
}

function say(connection: Connection, text: string): void {
  connection.write([Buffer.from(text)])
}

const wild: LinkProfile = {
  delayMs: 1,
  jitterMs: 5,
  lossPpm: 200_000,
  duplicatePpm: 200_000,
  latePpm: 100_000,
  lateMs: 50,
  cutPpm: 0,
}

describe('the simulated network', () => {
  it('keeps a stream in order through jitter, loss, cuts and partitions', () => {
    const { scheduler, network, near, heard } = pair('stream', { ...wild, cutPpm: 300_000 })
    const random = new SimRandom('partitions')
    let sent = ''
    for (let i = 0; i < 300; i++) {
      say(near, `${i},`)
      sent += `${i},`
      scheduler.runFor(random.next() * 5)
      if (random.chance(50_000)) network.setLink('c', 's', random.chance(500_000) ? 'drop' : 'hold')
      if (random.chance(100_000)) network.heal()
    }
    network.heal()
    scheduler.runFor(10_000)
    expect(heard.join('')).toBe(sent)
  })

  it('loses, repeats and reorders datagrams, each as a whole', () => {
    const { scheduler, near, heard } = pair('datagram', wild)
    const sent: string[] = []
    for (let i = 0; i < 500; i++) {
      sent.push(`message ${i}`)
      say(near, `message ${i}`)
    }
    scheduler.runFor(1_000)
    const came = new Set(heard)
    expect(heard.every(text => sent.includes(text))).toBe(true)
    expect(came.size).toBeLessThan(sent.length)
    expect(heard.length).toBeGreaterThan(came.size)
    expect([...came]).not.toEqual([...came].sort((a, b) => sent.indexOf(a) - sent.indexOf(b)))
  })

  it('cuts one direction and leaves the other', () => {
    const { scheduler, network, near, far, heard } = pair('datagram')
    network.setLink('c', 's', 'drop')
    say(near, 'lost')
    say(far, 'passes')
    scheduler.runFor(100)
    network.heal()
    say(near, 'after')
    scheduler.runFor(100)
    expect(heard).toEqual(['after'])
  })

  it('refuses at once where the process is dead, and does not answer where the host is lost or cut off', () => {
    const { scheduler, network, server, dial, closes } = pair('stream')
    const reasons: { reason: CloseReason; afterMs: number }[] = []
    const tryDial = (): void => {
      const startMs = scheduler.nowMs
      dial({ onClose: reason => reasons.push({ reason, afterMs: Math.round(scheduler.nowMs - startMs) }) })
      scheduler.runFor(2_000)
    }
    network.setLink('s', 'c', 'drop')
    tryDial()
    network.heal()
    server.kill()
    network.processDied(server)
    tryDial()
    network.hostLost(server, 's')
    tryDial()
    expect(reasons).toEqual([
      { reason: 'unreachable', afterMs: 1_000 },
      { reason: 'refused', afterMs: 0 },
      { reason: 'unreachable', afterMs: 1_000 },
    ])
    expect(closes.near.length).toBe(1)
  })

  it('leaves connections half-open when a host is lost: only a write after its return is answered by a reset', () => {
    const { scheduler, network, server, near, closes } = pair('stream')
    server.kill()
    network.hostLost(server, 's')
    say(near, 'into the void')
    scheduler.runFor(5_000)
    expect(closes.near).toEqual([])
    network.hostBack('s')
    say(near, 'who are you?')
    scheduler.runFor(100)
    expect(closes.near).toEqual(['reset'])
  })

  it('resets connections on both sides and loses what was on its way', () => {
    const { scheduler, network, near, heard, closes } = pair('stream')
    say(near, 'lost')
    expect(network.resetConnections('c', 's')).toBe(1)
    scheduler.runFor(100)
    expect(closes).toEqual({ near: ['reset'], far: ['reset'] })
    expect(heard).toEqual([])
    expect(network.openEnds).toBe(0)
  })

  it('accepts for a paused process, and shows the writer when nobody reads', () => {
    const { scheduler, network, server, near, heard, dial } = pair('stream')
    server.pause()
    let opened = 0
    dial({ onOpen: () => opened++ })
    say(near, 'x'.repeat(3_000_000))
    scheduler.runFor(1_000)
    expect(opened).toBe(1)
    expect(heard).toEqual([])
    expect(near.bufferedBytes).toBeGreaterThan(1_000_000)
    scheduler.resume(server)
    scheduler.runFor(10)
    expect(heard.join('').length).toBe(3_000_000)
    expect(near.bufferedBytes).toBe(0)
    expect(network.openEnds).toBe(4)
  })

  it('does the same twice for one seed', () => {
    const hashOf = (seed: string): string => {
      const { scheduler, near } = pair('datagram', wild, seed)
      for (let i = 0; i < 100; i++) say(near, `${i}`)
      scheduler.runFor(1_000)
      return scheduler.traceHash
    }
    expect(hashOf('a')).toBe(hashOf('a'))
    expect(hashOf('a')).not.toBe(hashOf('b'))
  })
})
