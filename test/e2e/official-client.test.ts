/** The official Node client, unmodified, against three real processes: every node takes every call. */
import { ConsumeResult, Producer, PushConsumer, SimpleConsumer, type MessageView } from 'rocketmq-client-nodejs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clusterWithTopics, raftmq, silentLogger, until, type LocalCluster } from '../support/cluster.ts'

let cluster: LocalCluster
const base = { namespace: '', logger: silentLogger }

beforeAll(async () => {
  cluster = await clusterWithTopics({ plain: 'normal', tagged: 'normal', pushed: 'normal', ordered: 'fifo', retried: 'normal' })
}, 60_000)

afterAll(async () => {
  await cluster.stop()
})

async function group(name: string, topic: string, ...more: string[]): Promise<void> {
  const result = await raftmq(cluster.endpoint('n2'), ['group', 'create', name, '--topic', topic, '--from', 'first', ...more])
  expect(result.stderr + result.stdout).not.toContain('error')
  expect(result.code).toBe(0)
}

describe('the official Node client', () => {
  for (const [sender, receiver] of [
    ['n1', 'n2'],
    ['n2', 'n3'],
    ['n3', 'n1'],
  ] as const) {
    it(`sends through ${sender}, receives and acks through ${receiver}`, async () => {
      const consumerGroup = `simple-${sender}`
      await group(consumerGroup, 'plain')
      const producer = new Producer({ ...base, endpoints: cluster.endpoint(sender), topic: 'plain' })
      const consumer = new SimpleConsumer({
        ...base,
        endpoints: cluster.endpoint(receiver),
        consumerGroup,
        subscriptions: new Map([['plain', '*']]),
        awaitDuration: 3_000,
      })
      await Promise.all([producer.startup(), consumer.startup()])
      try {
        const sent = new Set<string>()
        for (let i = 0; i < 20; i++) {
          const receipt = await producer.send({
            topic: 'plain',
            tag: 'yes',
            keys: [`key-${i}`],
            properties: new Map([['number', String(i)]]),
            body: Buffer.from(`${sender} ${i} äöü`),
          })
          sent.add(receipt.messageId)
        }
        const received = new Map<string, MessageView>()
        await until(async () => {
          for (const message of await consumer.receive(16, 15_000)) {
            received.set(message.messageId, message)
            await consumer.ack(message)
          }
          return [...sent].every(id => received.has(id))
        }, 'all that was sent is received')
        const one = [...received.values()].find(message => message.body.toString() === `${sender} 7 äöü`)
        expect(one?.tag).toBe('yes')
        expect(one?.keys).toEqual(['key-7'])
        expect(one?.properties.get('number')).toBe('7')
        expect(one?.deliveryAttempt).toBe(1)
        expect(one?.corrupted ?? false).toBe(false)
      } finally {
        await Promise.all([producer.shutdown(), consumer.shutdown()])
      }
    }, 60_000)
  }

  it('gets only the tags it subscribed to', async () => {
    await group('tag-readers', 'tagged')
    const producer = new Producer({ ...base, endpoints: cluster.endpoint('n1'), topic: 'tagged' })
    const consumer = new SimpleConsumer({
      ...base,
      endpoints: cluster.endpoint('n2'),
      consumerGroup: 'tag-readers',
      subscriptions: new Map([['tagged', 'red || blue']]),
      awaitDuration: 1_000,
    })
    await Promise.all([producer.startup(), consumer.startup()])
    try {
      for (const tag of ['red', 'green', 'blue', undefined, 'red'])
        await producer.send({ topic: 'tagged', ...(tag === undefined ? {} : { tag }), body: Buffer.from(tag ?? 'none') })
      const bodies: string[] = []
      await until(async () => {
        for (const message of await consumer.receive(16, 15_000)) {
          bodies.push(message.body.toString())
          await consumer.ack(message)
        }
        return bodies.length >= 3
      }, 'three tagged messages')
      expect(bodies.sort()).toEqual(['blue', 'red', 'red'])
    } finally {
      await Promise.all([producer.shutdown(), consumer.shutdown()])
    }
  }, 60_000)

  it('push-consumes all that is sent, each once', async () => {
    await group('pushers', 'pushed')
    const counts = new Map<string, number>()
    const consumer = new PushConsumer({
      ...base,
      endpoints: cluster.endpoint('n3'),
      consumerGroup: 'pushers',
      subscriptions: new Map([['pushed', '*']]),
      messageListener: {
        consume: (message: MessageView) => {
          counts.set(message.messageId, (counts.get(message.messageId) ?? 0) + 1)
          return Promise.resolve(ConsumeResult.SUCCESS)
        },
      },
    })
    const producer = new Producer({ ...base, endpoints: cluster.endpoint('n1'), topic: 'pushed' })
    await Promise.all([producer.startup(), consumer.startup()])
    try {
      const sent: string[] = []
      for (let i = 0; i < 100; i++) sent.push((await producer.send({ topic: 'pushed', body: Buffer.from(String(i)) })).messageId)
      await until(() => sent.every(id => counts.has(id)), 'all pushed')
      expect([...counts.values()].filter(count => count !== 1)).toEqual([])
    } finally {
      await Promise.all([producer.shutdown(), consumer.shutdown()])
    }
  }, 60_000)

  it('gets a failed message again, with the attempt counted', async () => {
    await group('retriers', 'retried', '--retry', '1s')
    const attempts: number[] = []
    const consumer = new PushConsumer({
      ...base,
      endpoints: cluster.endpoint('n2'),
      consumerGroup: 'retriers',
      subscriptions: new Map([['retried', '*']]),
      messageListener: {
        consume: (message: MessageView) => {
          attempts.push(message.deliveryAttempt ?? 0)
          return Promise.resolve(attempts.length < 2 ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS)
        },
      },
    })
    const producer = new Producer({ ...base, endpoints: cluster.endpoint('n1'), topic: 'retried' })
    await Promise.all([producer.startup(), consumer.startup()])
    try {
      await producer.send({ topic: 'retried', body: Buffer.from('again') })
      await until(() => attempts.length >= 2, 'a second attempt', 30_000)
      expect(attempts).toEqual([1, 2])
    } finally {
      await Promise.all([producer.shutdown(), consumer.shutdown()])
    }
  }, 60_000)

  it('keeps the order of each message group', async () => {
    await group('orderly', 'ordered', '--fifo')
    const seen = new Map<string, number[]>()
    const consumer = new PushConsumer({
      ...base,
      endpoints: cluster.endpoint('n1'),
      consumerGroup: 'orderly',
      subscriptions: new Map([['ordered', '*']]),
      messageListener: {
        consume: (message: MessageView) => {
          const name = message.messageGroup ?? ''
          seen.set(name, [...(seen.get(name) ?? []), Number(message.body.toString())])
          return Promise.resolve(ConsumeResult.SUCCESS)
        },
      },
    })
    const producer = new Producer({ ...base, endpoints: cluster.endpoint('n3'), topic: 'ordered' })
    await Promise.all([producer.startup(), consumer.startup()])
    try {
      await Promise.all(
        ['a', 'b', 'c'].map(async messageGroup => {
          for (let i = 0; i < 30; i++) await producer.send({ topic: 'ordered', messageGroup, body: Buffer.from(String(i)) })
        }),
      )
      await until(() => ['a', 'b', 'c'].every(name => (seen.get(name)?.length ?? 0) >= 30), 'all ordered messages')
      for (const name of ['a', 'b', 'c']) expect(seen.get(name)).toEqual(Array.from({ length: 30 }, (_, i) => i))
    } finally {
      await Promise.all([producer.shutdown(), consumer.shutdown()])
    }
  }, 60_000)
})
