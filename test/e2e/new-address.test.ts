/**
 * A node comes back at another address, with its data directory: nobody is told by hand. Its peers hear of it in its greeting, the leader writes it down,
 * and clients read it in the routes of every node. The official client works all the time, and no send of it fails.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { Producer } from 'rocketmq-client-nodejs'
import { expect, it } from 'vitest'
import { clusterWithTopics, raftmq, silentLogger, until, type LocalCluster } from '../support/cluster.ts'
import { encoded, v2, WireClient } from '../support/wire.ts'

/** Ports that nobody listens on now. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(server => new Promise<number>(done => server.listen(0, '127.0.0.1', () => done((server.address() as AddressInfo).port)))),
  )
  await Promise.all(servers.map(server => new Promise(done => server.close(done))))
  return ports
}

/** Where clients of this node are sent, by port. */
async function routeOf(client: WireClient): Promise<readonly number[]> {
  const { messageQueues } = await client.unary(
    'QueryRoute',
    encoded(v2.QueryRouteRequest, { topic: { name: 'work' } }),
    v2.QueryRouteResponse,
  )
  const ports = messageQueues.map(({ broker }) => broker?.endpoints?.addresses?.[0]?.port ?? 0)
  return [...new Set(ports)].sort((left, right) => left - right)
}

/** As an operator does it: the node's lines in the configuration, nothing else. */
function moveIn(cluster: LocalCluster, name: string, client: number, peer: number): void {
  const node = cluster.nodes.find(each => each.name === name)
  const text = readFileSync(cluster.configPath, 'utf8')
  const moved = text
    .replace(`127.0.0.1:${node?.clientPort ?? 0}`, `127.0.0.1:${client}`)
    .replace(`127.0.0.1:${node?.peerPort ?? 0}`, `127.0.0.1:${peer}`)
  expect(moved).not.toBe(text)
  writeFileSync(cluster.configPath, moved)
}

it('every node that comes back at another address, the leader among them, is in all routes there, and no send fails meanwhile', async () => {
  const cluster = await clusterWithTopics({ work: 'normal' })
  try {
    const leader = await cluster.waitForLeader()
    const stays = cluster.nodes.map(({ name }) => name).filter(name => name !== leader)[0] ?? 'n1'
    const moving = cluster.nodes.map(({ name }) => name).filter(name => name !== stays)
    const portOf = new Map(cluster.nodes.map(({ name, clientPort }) => [name, clientPort]))
    const sorted = (): number[] => [...portOf.values()].sort((left, right) => left - right)
    let acknowledged = 0
    const errors: unknown[] = []
    let isStopping = false
    const producer = new Producer({ namespace: '', logger: silentLogger, endpoints: cluster.endpoint(stays), topic: 'work' })
    await producer.startup()
    const loops = [0, 1, 2].map(async lane => {
      while (!isStopping) {
        try {
          await producer.send({ topic: 'work', body: Buffer.from(`${lane}`) })
          acknowledged++
        } catch (error) {
          errors.push(error)
        }
      }
    })
    const goesOn = async (): Promise<void> => {
      const before = acknowledged
      await until(() => acknowledged > before + 20, 'more traffic')
    }
    await goesOn()
    for (const name of moving) {
      const [client = 0, peer = 0] = await freePorts(2)
      await cluster.signal(name, 'SIGTERM')
      moveIn(cluster, name, client, peer)
      await cluster.startNode(name)
      portOf.set(name, client)
      for (const port of portOf.values()) {
        const asked = new WireClient(`127.0.0.1:${port}`, 'asker')
        await until(
          async () => (await routeOf(asked)).join() === sorted().join(),
          `the node at ${port} sends clients to ${sorted().join()}`,
        )
        asked.close()
      }
      await goesOn()
    }
    isStopping = true
    await Promise.all(loops)
    expect(errors).toEqual([])
    // It says goodbye to the old addresses too, which it has not unlearned yet, and takes their silence for an error of its own.
    await producer.shutdown().catch(() => undefined)
    const last = portOf.get(moving.at(-1) ?? '') ?? 0
    const read = await raftmq(`127.0.0.1:${last}`, ['consume', 'work', '-g', 'audit', '--from', 'first', '--until-empty'])
    expect(read.stdout.split('\n').filter(line => line !== '')).toHaveLength(acknowledged)
  } finally {
    await cluster.stop()
  }
}, 120_000)
