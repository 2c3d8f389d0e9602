/**
 * Bad input against three real processes: each request gets its documented code or its connection is closed, nothing that the cluster holds is
 * changed, no node restarts, and everybody is served afterwards.
 */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mustExist } from '../../src/platform/assert.ts'
import type { BadRequest, Handles } from '../support/bad-request-rows.ts'
import { badRequests } from '../support/bad-requests.ts'
import { clusterWithTopics, type LocalCluster } from '../support/cluster.ts'
import { chanceOf, goodRequest, mutated } from '../support/mutate.ts'
import { quietViews, substanceOf, type NodeView } from '../support/substance.ts'
import { ackCode, framed, goodMessage, receive, receiveRequest, sendOne, v2, WireClient, type CallResult } from '../support/wire.ts'

const rows = badRequests()
const results = new Map<BadRequest, CallResult>()
let cluster: LocalCluster
let clients: readonly WireClient[]
let first: readonly NodeView[]
let beforeByBytes: readonly NodeView[]
let afterByBytes: readonly NodeView[]
let substanceBefore: readonly string[]
let substanceAfter: readonly string[]
let live: readonly string[]

beforeAll(async () => {
  cluster = await clusterWithTopics({ plain: 'normal', other: 'normal', ordered: 'fifo' }, { queues: 2 })
  clients = cluster.nodes.map(node => new WireClient(`127.0.0.1:${node.clientPort}`, `bad-${node.name}`))
  first = await quietViews(cluster)
  const handles = await takeHandles(node(0))
  live = [handles.live]
  substanceBefore = await substanceOf(cluster)
  // Something of the nodes' own (an election on a busy machine) may be appended meanwhile: then once more, because once is enough to prove it.
  for (let attempt = 1; attempt <= 3; attempt++) {
    beforeByBytes = await quietViews(cluster)
    await sendAll(
      rows.filter(row => row.rests === 'bytes'),
      handles,
    )
    afterByBytes = await quietViews(cluster)
    if (afterByBytes[0]?.appliedIndex === beforeByBytes[0]?.appliedIndex) break
  }
  await sendAll(
    rows.filter(row => row.rests === 'state'),
    handles,
  )
  substanceAfter = await substanceOf(cluster)
}, 60_000)

afterAll(async () => {
  for (const client of clients) client.close()
  await cluster.stop()
})

function node(i: number): WireClient {
  const client = clients[i % clients.length]
  if (client === undefined) throw new Error('no client')
  return client
}

/** Groups g and h with their places, one message that g holds, one that it has acked. */
async function takeHandles(client: WireClient): Promise<Handles> {
  for (const group of ['g', 'h']) await receive(client, receiveRequest(group, 'plain', { longPollingTimeout: { seconds: 0, nanos: 0 } }))
  for (const id of ['one', 'two']) expect((await sendOne(client, goodMessage('plain', id))).status?.code).toBe(20_000)
  const handles: string[] = []
  while (handles.length < 2) {
    const { messages } = await receive(client, receiveRequest('g', 'plain', { invisibleDuration: { seconds: 600, nanos: 0 } }))
    handles.push(...messages.map(message => message.systemProperties?.receiptHandle ?? ''))
  }
  const [live = '', settled = ''] = handles
  expect(await ackCode(client, 'g', 'plain', settled)).toBe(20_000)
  return { live, settled }
}

async function sendAll(some: readonly BadRequest[], handles: Handles): Promise<void> {
  await Promise.all(
    some.map(async (row, i) => {
      results.set(row, await node(i).raw(row.method, row.bytes(handles), row.headers))
    }),
  )
}

describe('a bad request', () => {
  it('is one of at least sixty', () => {
    expect(rows.length).toBeGreaterThanOrEqual(60)
  })

  it.each(rows.map(row => [row.what, row] as const))('%s', (_, row) => {
    const result = mustExist(results.get(row), row.what)
    if ('grpc' in row.expected) {
      expect(row.expected.grpc).toContain(result.grpcStatus)
      expect(result.tookMs).toBeLessThan(2_000)
      return
    }
    expect(result.grpcStatus).toBe(0)
    const reply = result.messages[0] ?? Buffer.alloc(0)
    // In every reply of the service field 1 is the status.
    const status = row.method === 'Telemetry' ? v2.TelemetryCommand.decode(reply).status : v2.HeartbeatResponse.decode(reply).status
    expect(status?.code).toBe(row.expected.code)
  })

  it('appends nothing when its own bytes prove it wrong', () => {
    expect(afterByBytes.map(view => view.appliedIndex)).toEqual(beforeByBytes.map(view => view.appliedIndex))
    expect(afterByBytes.map(view => view.digest)).toEqual(beforeByBytes.map(view => view.digest))
  })

  it('changes nothing that topics, queues and groups hold', () => {
    expect(substanceAfter).toEqual(substanceBefore)
    expect(new Set(substanceAfter).size).toBe(1)
  })
})

describe('bytes that are no protocol of ours', () => {
  const tlsHello = Buffer.concat([Buffer.from([0x16, 0x03, 0x01, 0x00, 0xc8, 0x01, 0x00, 0x00, 0xc4, 0x03, 0x03]), randomBytes(194)])
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  const cases: readonly (readonly [string, Buffer])[] = [
    ['HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a TLS ClientHello that goes wrong', tlsHello],
    ['64 KiB at random', Buffer.concat([Buffer.from([0x99]), randomBytes(65_535)])],
    ['a length prefix of 4 GiB', Buffer.from('ffffffff0000000000000000', 'hex')],
    ['only 0xff', Buffer.alloc(4_096, 0xff)],
    ['the HTTP/2 preface and garbage', Buffer.concat([preface, Buffer.alloc(256, 0xee)])],
    ['a frame of 16 MiB behind the preface', Buffer.concat([preface, Buffer.from('ffffff000000000001', 'hex'), Buffer.alloc(64)])],
    ['zeros', Buffer.alloc(4_096)],
  ]
  for (const port of ['peerPort', 'clientPort'] as const)
    it.each(cases)(`close the connection on the ${port}: %s`, async (_, bytes) => {
      const closes = cluster.nodes.map(({ [port]: at }) => closedWithin(at, bytes))
      expect(await Promise.all(closes)).toEqual([true, true, true])
    })

  it('are bytes cut from the protocol, too: a greeting with a wrong checksum', async () => {
    const hello = Buffer.alloc(32)
    hello.writeUInt32LE(20, 0)
    hello[4] = 1
    hello.writeUInt16LE(20, 6)
    expect(await closedWithin(cluster.nodes[0]?.peerPort ?? 0, hello)).toBe(true)
  })

  it('may be none at all: hundreds of silent connections keep nobody from being served', async () => {
    const sockets: Socket[] = []
    for (const { peerPort, clientPort } of cluster.nodes)
      for (let i = 0; i < 150; i++) for (const port of [peerPort, clientPort]) sockets.push(silent(port))
    await Promise.all(sockets.map(opened))
    try {
      for (const i of [0, 1, 2]) expect((await sendOne(node(i), goodMessage('other', `flood-${i}`))).status?.code).toBe(20_000)
    } finally {
      for (const socket of sockets) socket.destroy()
    }
  })
})

describe('requests that are nearly right', () => {
  it('by the thousand, and handles signed by strangers, are all answered', async () => {
    const [handle = ''] = live
    const lanes = Array.from({ length: 60 }, async (_, lane) => {
      const chance = chanceOf(lane)
      const unanswered: string[] = []
      for (let i = 0; i < 40; i++) {
        const [method, bytes] = goodRequest(handle, chance)
        const sent = chance() < 0.3 ? bytes : mutated(bytes, chance)
        const { grpcStatus } = await node(lane + i).raw(method, framed(sent), { 'grpc-timeout': '2S' })
        if (grpcStatus < 0) unanswered.push(`${method} ${sent.toString('hex')}`)
      }
      return unanswered
    })
    expect((await Promise.all(lanes)).flat()).toEqual([])
  }, 60_000)
})

describe('calls that are given up', () => {
  it('by the thousand as soon as they are made leave nothing behind', async () => {
    const restless = new WireClient(cluster.endpoint('n1'), 'restless')
    const calls = Array.from({ length: 2_000 }, () => restless.open('ReceiveMessage'))
    for (const { stream } of calls) {
      stream.end(framed(receiveRequest('g', 'other', { longPollingTimeout: { seconds: 20, nanos: 0 } })))
      stream.close()
    }
    await Promise.all(calls.map(call => call.done))
    restless.close()
    expect((await sendOne(node(0), goodMessage('other', 'after-restless'))).status?.code).toBe(20_000)
  })
})

describe('after all that', () => {
  it('no node has restarted', async () => {
    const last = await quietViews(cluster)
    expect(last.map(view => view.incarnation)).toEqual(first.map(view => view.incarnation))
    expect(last.map(view => view.processId)).toEqual(cluster.nodes.map(each => each.pid))
    expect(new Set(last.map(view => view.digest)).size).toBe(1)
  })

  it('every node sends, receives and acks', async () => {
    for (const i of [0, 1, 2]) {
      const group = `after-${i}`
      await receive(node(i), receiveRequest(group, 'other', { longPollingTimeout: { seconds: 0, nanos: 0 } }))
      expect((await sendOne(node(i), goodMessage('other', `after-${i}`))).status?.code).toBe(20_000)
      const { messages } = await receive(node(i + 1), receiveRequest(group, 'other'))
      expect(messages.map(message => message.systemProperties?.messageId)).toEqual([`after-${i}`])
      expect(await ackCode(node(i + 2), group, 'other', messages[0]?.systemProperties?.receiptHandle ?? '')).toBe(20_000)
    }
  })
})

function silent(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  // Whoever is refused or dropped: both are fine.
  socket.on('error', () => undefined)
  return socket
}

function opened(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    socket.once('connect', () => resolve())
    socket.once('close', () => resolve())
  })
}

/** Says the bytes and nothing more; true when the other side has ended the connection by then. */
function closedWithin(port: number, bytes: Buffer, timeoutMs = 15_000): Promise<boolean> {
  return new Promise(resolve => {
    const socket = silent(port)
    const timer = setTimeout(() => {
      resolve(false)
      socket.destroy()
    }, timeoutMs)
    socket.resume()
    socket.write(bytes)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(true)
    })
  })
}
