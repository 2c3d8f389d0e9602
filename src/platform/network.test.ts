import { describe, expect, it } from 'vitest'
import * as net from 'node:net'
import { realNetwork } from './network.ts'
import type { CloseReason } from './network.ts'
import { networkContract } from './network-contract.ts'

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 5_000
  do {
    await new Promise(resolve => setImmediate(resolve))
    if (Date.now() > end) throw new Error('did not happen within 5 s')
  } while (!condition())
}

networkContract('TCP', () => ({
  server: realNetwork,
  client: realNetwork,
  address: { host: '127.0.0.1', port: 0 },
  until,
  close: () => undefined,
}))

describe('TCP, beyond the contract', () => {
  it('reports a reset of the other side as one', async () => {
    const server = net.createServer(socket => {
      socket.once('data', () => socket.resetAndDestroy())
    })
    let port = 0
    server.listen(0, '127.0.0.1', () => (port = (server.address() as net.AddressInfo).port))
    await until(() => port !== 0)
    const closes: CloseReason[] = []
    const connection = realNetwork.dial(
      { host: '127.0.0.1', port },
      { onOpen: () => connection.write([Buffer.from('x')]), onData: () => undefined, onClose: reason => closes.push(reason) },
    )
    await until(() => closes.length > 0)
    expect(closes).toEqual(['reset'])
    server.close()
  })

  it('knows a refused dial also by host name', async () => {
    const closes: CloseReason[] = []
    realNetwork.dial({ host: 'localhost', port: 1 }, { onData: () => undefined, onClose: reason => closes.push(reason) })
    await until(() => closes.length > 0)
    expect(closes).toEqual(['refused'])
  })
})
