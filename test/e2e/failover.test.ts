/** Real processes under kill -9: a dead leader is one slow send, three dead nodes lose nothing that was acknowledged. */
import { Producer } from 'rocketmq-client-nodejs'
import { describe, expect, it } from 'vitest'
import { clusterWithTopics, raftmq, silentLogger, until } from '../support/cluster.ts'

const base = { namespace: '', logger: silentLogger }

/** All bodies of a topic, read by a fresh group. */
async function bodiesOf(endpoint: string, topic: string): Promise<string[]> {
  const result = await raftmq(endpoint, ['consume', topic, '-g', `audit-${topic}`, '--from', 'first', '--until-empty'])
  expect(result.code).toBe(0)
  return result.stdout.split('\n').filter(line => line !== '')
}

describe('failover', () => {
  it('is one slow send for the user of a producer: no error, nothing lost, nothing twice', async () => {
    const cluster = await clusterWithTopics({ work: 'normal' })
    try {
      const acknowledged: string[] = []
      const errors: unknown[] = []
      let isStopping = false
      const producers = await Promise.all(
        cluster.nodes.map(async node => {
          const producer = new Producer({ ...base, endpoints: cluster.endpoint(node.name), topic: 'work' })
          await producer.startup()
          return producer
        }),
      )
      const loops = producers.flatMap((producer, p) =>
        [0, 1, 2, 3].map(async lane => {
          for (let n = 0; !isStopping; n++) {
            const body = `${p}-${lane}-${n}`
            try {
              await producer.send({ topic: 'work', body: Buffer.from(body) })
              acknowledged.push(body)
            } catch (error) {
              errors.push(error)
            }
          }
        }),
      )
      for (let kill = 0; kill < 2; kill++) {
        await until(() => acknowledged.length > 200 * (kill + 1), 'some traffic')
        const leader = await cluster.waitForLeader()
        await cluster.signal(leader, 'SIGKILL')
        const before = acknowledged.length
        await until(() => acknowledged.length > before + 50, 'traffic after the kill', 5_000)
        await cluster.startNode(leader)
      }
      isStopping = true
      await Promise.all(loops)
      const bodies = await bodiesOf(cluster.endpoint('n2'), 'work')
      const present = new Set(bodies)
      expect(errors).toEqual([])
      expect(acknowledged.filter(body => !present.has(body))).toEqual([])
      expect(bodies.length).toBe(present.size)
      await Promise.all(producers.map(producer => producer.shutdown()))
    } finally {
      await cluster.stop()
    }
  }, 90_000)

  it('of all three nodes at once keeps everything that was acknowledged, and has a leader again within 2 s of the last start', async () => {
    const cluster = await clusterWithTopics({ all: 'normal' })
    try {
      const acknowledged: string[] = []
      let isStopping = false
      const producer = new Producer({ ...base, endpoints: cluster.endpoint('n1'), topic: 'all', requestTimeout: 3_000 })
      await producer.startup()
      const loops = [0, 1, 2, 3, 4, 5, 6, 7].map(async lane => {
        for (let n = 0; !isStopping; n++) {
          try {
            await producer.send({ topic: 'all', body: Buffer.from(`${lane}-${n}`) })
            acknowledged.push(`${lane}-${n}`)
          } catch {
            // With no node alive the client gives up; what it was not told is not acknowledged.
          }
        }
      })
      await until(() => acknowledged.length > 300, 'some traffic')
      await Promise.all(cluster.nodes.map(node => cluster.signal(node.name, 'SIGKILL')))
      await Promise.all(cluster.nodes.map(node => cluster.startNode(node.name)))
      const ready = performance.now()
      await cluster.waitForLeader()
      const leaderAfterMs = performance.now() - ready
      isStopping = true
      await Promise.all(loops)
      const present = new Set(await bodiesOf(cluster.endpoint('n3'), 'all'))
      expect(acknowledged.filter(body => !present.has(body))).toEqual([])
      expect(leaderAfterMs).toBeLessThan(2_000)
      // Its channels may still wait to dial again, and then it fails to say goodbye.
      await producer.shutdown().catch(() => undefined)
    } finally {
      await cluster.stop()
    }
  }, 90_000)
})
