/**
 * What every Network must do, as a suite of tests: run on TCP (network.test.ts) and on the simulated network in its stream-like mode and, where the
 * promise holds for single chunks too, in its datagram-like mode (chaos/sim/network.test.ts).
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CloseReason, Connection, ConnectionHandlers, Listener, Network, NetworkAddress } from './network.ts'

/** One network with two ends, and a way to let time pass. */
export interface NetworkHarness {
  /** The side that listens. */
  readonly server: Network
  /** The side that dials. */
  readonly client: Network
  /** To listen on; the real port is what the listener says. */
  readonly address: NetworkAddress
  /** Lets time pass until the condition holds; throws when it does not within a few seconds. */
  until(condition: () => boolean): Promise<void>
  close(): void
}

/** What one end of a connection has heard. */
class Ear implements ConnectionHandlers {
  connection: Connection | undefined
  opened = 0
  readonly chunks: Buffer[] = []
  readonly closes: CloseReason[] = []

  onOpen(): void {
    this.opened++
  }

  onData(chunk: Uint8Array): void {
    expect(this.closes).toEqual([])
    this.chunks.push(Buffer.from(chunk))
  }

  onClose(reason: CloseReason): void {
    this.closes.push(reason)
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }

  say(...parts: readonly string[]): void {
    this.connection?.write(parts.map(part => Buffer.from(part)))
  }
}

/** Runs the suite on the network that `makeHarness` makes. */
export function networkContract(name: string, makeHarness: () => NetworkHarness): void {
  describe(name, () => {
    let harness: NetworkHarness
    let listener: Listener
    let accepted: Ear[]
    let address: NetworkAddress

    async function open(): Promise<{ near: Ear; far: Ear }> {
      const near = new Ear()
      near.connection = harness.client.dial(address, near)
      expect(near.opened).toBe(0)
      const before = accepted.length
      await harness.until(() => near.opened === 1 && accepted.length === before + 1)
      const far = accepted[before]
      if (far === undefined) throw new Error('nothing was accepted')
      return { near, far }
    }

    beforeEach(async () => {
      harness = makeHarness()
      accepted = []
      let isReady = false
      const accept = (connection: Connection): ConnectionHandlers => {
        const ear = new Ear()
        ear.connection = connection
        accepted.push(ear)
        return ear
      }
      listener = harness.server.listen(harness.address, accept, error => {
        expect(error).toBeUndefined()
        isReady = true
      })
      await harness.until(() => isReady)
      address = { host: harness.address.host, port: listener.port }
    })

    afterEach(() => {
      listener.close()
      harness.close()
    })

    it('carries bytes both ways, the buffers of one write together and in order', async () => {
      const { near, far } = await open()
      near.say('he', 'llo')
      await harness.until(() => far.text === 'hello')
      far.say('w', '', 'elcome')
      await harness.until(() => near.text === 'welcome')
    })

    it('carries many and large writes whole', async () => {
      const { near, far } = await open()
      const large = Buffer.alloc(300_000, 'x')
      let bytes = 0
      for (let i = 0; i < 10; i++) {
        near.connection?.write([Buffer.from(`${i}`), large])
        bytes += 1 + large.length
      }
      await harness.until(() => far.chunks.reduce((sum, chunk) => sum + chunk.length, 0) === bytes)
      await harness.until(() => near.connection?.bufferedBytes === 0)
    })

    it('says refused when nobody listens', async () => {
      listener.close()
      const ear = new Ear()
      harness.client.dial(address, ear)
      expect(ear.closes).toEqual([])
      await harness.until(() => ear.closes.length > 0)
      expect(ear.closes).toEqual(['refused'])
      expect(ear.opened).toBe(0)
    })

    it('tells both sides of a close, once, and never inside the call', async () => {
      const { near, far } = await open()
      near.connection?.close()
      near.connection?.close()
      expect(near.closes).toEqual([])
      await harness.until(() => near.closes.length > 0 && far.closes.length > 0)
      near.say('too late')
      far.say('too late')
      await harness.until(() => true)
      expect(near.closes).toEqual(['local'])
      expect(['ended', 'reset']).toContain(far.closes[0])
      expect(far.closes.length).toBe(1)
      expect(near.chunks.length + far.chunks.length).toBe(0)
    })

    it('delivers what was written before an orderly close', async () => {
      const { near, far } = await open()
      near.say('last words')
      await harness.until(() => near.connection?.bufferedBytes === 0)
      near.connection?.close()
      await harness.until(() => far.closes.length > 0)
      expect(far.text).toBe('last words')
      expect(far.closes).toEqual(['ended'])
    })

    it('gives no data any more after our own close', async () => {
      const { near, far } = await open()
      far.say('on its way')
      near.connection?.close()
      await harness.until(() => near.closes.length > 0)
      expect(near.chunks).toEqual([])
    })

    it('reports the close of a dial that was given up', async () => {
      const ear = new Ear()
      const connection = harness.client.dial(address, ear)
      connection.close()
      expect(ear.closes).toEqual([])
      await harness.until(() => ear.closes.length > 0)
      expect(ear.closes).toEqual(['local'])
      expect(ear.opened).toBe(0)
    })

    it('ignores what is written before it is open', async () => {
      const ear = new Ear()
      ear.connection = harness.client.dial(address, ear)
      ear.say('early')
      await harness.until(() => ear.opened === 1 && accepted.length === 1)
      ear.say('in time')
      await harness.until(() => accepted[0]?.text === 'in time')
    })

    it('closes the connections of a listener with it', async () => {
      const { near, far } = await open()
      listener.close()
      await harness.until(() => near.closes.length > 0 && far.closes.length > 0)
      expect(['ended', 'reset']).toContain(near.closes[0])
    })

    it('says so when the port is taken', async () => {
      let failed: Error | undefined
      const second = harness.server.listen(
        address,
        () => new Ear(),
        error => (failed = error),
      )
      await harness.until(() => failed !== undefined)
      second.close()
    })
  })
}
