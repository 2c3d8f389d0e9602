import { describe, expect, it } from 'vitest'
import { realClock } from './clock.ts'
import { cuttable } from './cuttable-network.ts'
import { networkContract } from './network-contract.ts'
import { realNetwork } from './network.ts'
import type { CloseReason, Connection, ConnectionHandlers, Network } from './network.ts'

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 5_000
  do {
    await new Promise(resolve => setImmediate(resolve))
    if (Date.now() > end) throw new Error('did not happen within 5 s')
  } while (!condition())
}

networkContract('TCP with a whole cable', () => ({
  server: cuttable(realNetwork, realClock),
  client: cuttable(realNetwork, realClock),
  address: { host: '127.0.0.1', port: 0 },
  until,
  close: () => undefined,
}))

class End implements ConnectionHandlers {
  isOpen = false
  text = ''
  closed: CloseReason | undefined

  onOpen(): void {
    this.isOpen = true
  }

  onData(chunk: Uint8Array): void {
    this.text += Buffer.from(chunk).toString()
  }

  onClose(reason: CloseReason): void {
    this.closed = reason
  }
}

/** A listener and what it has accepted. */
async function listening(network: Network): Promise<{ port: number; accepted: { end: End; connection: Connection }[]; close(): void }> {
  const accepted: { end: End; connection: Connection }[] = []
  let isReady = false
  const accept = (connection: Connection): ConnectionHandlers => {
    const end = new End()
    accepted.push({ end, connection })
    return end
  }
  const listener = network.listen({ host: '127.0.0.1', port: 0 }, accept, () => (isReady = true))
  await until(() => isReady)
  return { port: listener.port, accepted, close: () => listener.close() }
}

describe('a cut cable', () => {
  it('is silent in both directions, and what was open is reset when it is whole again', async () => {
    const server = await listening(realNetwork)
    const network = cuttable(realNetwork, realClock)
    const near = new End()
    const connection = network.dial({ host: '127.0.0.1', port: server.port }, near)
    await until(() => near.isOpen && server.accepted.length === 1)
    network.setCut(true)
    connection.write([Buffer.from('lost')])
    server.accepted[0]?.connection.write([Buffer.from('lost too')])
    // A second connection shows that what was written has had its time.
    const other = new End()
    const whole = realNetwork.dial({ host: '127.0.0.1', port: server.port }, other)
    await until(() => other.isOpen && server.accepted.length === 2)
    whole.write([Buffer.from('here')])
    await until(() => server.accepted[1]?.end.text === 'here')
    expect(near).toMatchObject({ text: '', closed: undefined })
    expect(server.accepted[0]?.end).toMatchObject({ text: '', closed: undefined })
    network.setCut(false)
    await until(() => near.closed !== undefined && server.accepted[0]?.end.closed !== undefined)
    expect(near.closed).toBe('reset')
    whole.close()
    server.close()
  })

  it('hides the end of the other side until it is whole again', async () => {
    const server = await listening(realNetwork)
    const network = cuttable(realNetwork, realClock)
    const near = new End()
    network.dial({ host: '127.0.0.1', port: server.port }, near)
    await until(() => near.isOpen && server.accepted.length === 1)
    network.setCut(true)
    server.accepted[0]?.connection.close()
    await until(() => server.accepted[0]?.end.closed !== undefined)
    expect(near.closed).toBeUndefined()
    network.setCut(false)
    await until(() => near.closed !== undefined)
    expect(near.closed).toBe('reset')
    server.close()
  })

  it('lets nobody in and nobody out, without refusing', async () => {
    const network = cuttable(realNetwork, realClock)
    const server = await listening(network)
    network.setCut(true)
    const out = new End()
    network.dial({ host: '127.0.0.1', port: server.port }, out)
    const comer = new End()
    realNetwork.dial({ host: '127.0.0.1', port: server.port }, comer)
    await until(() => out.closed !== undefined)
    expect(out.closed).toBe('unreachable')
    expect(comer.closed).toBeUndefined()
    expect(server.accepted).toHaveLength(0)
    network.setCut(false)
    await until(() => comer.closed !== undefined)
    server.close()
  })
})
