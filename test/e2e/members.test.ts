/** A group grows and shrinks under load: real processes, the official client, the command line. No send fails, nothing is lost or there twice. */
import { Producer } from 'rocketmq-client-nodejs'
import { expect, it } from 'vitest'
import { clusterWithTopics, raftmq, silentLogger, until } from '../support/cluster.ts'

interface Listed {
  readonly phase: string
  readonly members: readonly { readonly name: string; readonly role: string }[]
}

async function member(endpoint: string, ...words: readonly string[]): Promise<Listed> {
  const result = await raftmq(endpoint, ['cluster', 'member', ...words, '-o', 'json'])
  expect(result.stderr).toBe('')
  expect(result.code).toBe(0)
  return JSON.parse(result.stdout) as Listed
}

const voters = ({ members }: Listed): string[] => members.filter(({ role }) => role === 'voter').map(({ name }) => name)

it('1 → 3 → 5 → 3 nodes under load, the first leader among those that leave: no failed send', async () => {
  const cluster = await clusterWithTopics({ work: 'normal' }, { nodeCount: 1, spareCount: 4 })
  try {
    const acknowledged: string[] = []
    const errors: unknown[] = []
    let isStopping = false
    const producer = new Producer({ namespace: '', logger: silentLogger, endpoints: cluster.endpoint('n1'), topic: 'work' })
    await producer.startup()
    const loops = [0, 1, 2, 3].map(async lane => {
      for (let n = 0; !isStopping; n++) {
        const body = `${lane}-${n}`
        try {
          await producer.send({ topic: 'work', body: Buffer.from(body) })
          acknowledged.push(body)
        } catch (error) {
          errors.push(error)
        }
      }
    })
    const goesOn = async (): Promise<void> => {
      const before = acknowledged.length
      await until(() => acknowledged.length > before + 20, 'more traffic')
    }
    await goesOn()
    for (const name of ['n2', 'n3', 'n4', 'n5']) {
      await cluster.startNode(name)
      const grown = await member(cluster.endpoint('n1'), 'add', name, '-c', cluster.configPath)
      expect(voters(grown)).toContain(name)
      await goesOn()
    }
    expect(voters(await member(cluster.endpoint('n4'), 'list'))).toEqual(['n1', 'n2', 'n3', 'n4', 'n5'])
    await member(cluster.endpoint('n5'), 'remove', 'n1')
    await goesOn()
    const shrunk = await member(cluster.endpoint('n3'), 'remove', 'n2')
    expect(voters(shrunk)).toEqual(['n3', 'n4', 'n5'])
    await goesOn()
    isStopping = true
    await Promise.all(loops)
    expect(errors).toEqual([])
    const read = await raftmq(cluster.endpoint('n4'), ['consume', 'work', '-g', 'audit', '--from', 'first', '--until-empty'])
    const bodies = read.stdout.split('\n').filter(line => line !== '')
    const present = new Set(bodies)
    expect(acknowledged.filter(body => !present.has(body))).toEqual([])
    expect(bodies.length).toBe(present.size)
    await producer.shutdown()
  } finally {
    await cluster.stop()
  }
}, 180_000)

it('a change is refused with a sentence when it makes no sense, and taken back when its node never comes', async () => {
  const cluster = await clusterWithTopics({}, { nodeCount: 1, spareCount: 2 })
  try {
    const endpoint = cluster.endpoint('n1')
    const refused = async (...words: readonly string[]): Promise<string> => {
      const result = await raftmq(endpoint, ['cluster', 'member', ...words])
      expect(result.code).not.toBe(0)
      return result.stderr
    }
    expect(await refused('remove', 'n9')).toMatch(/there is no member n9; there are n1/)
    expect(await refused('remove', 'n1')).toMatch(/nobody would be left to vote/)
    expect(await refused('cancel')).toMatch(/no change is under way/)
    expect(await refused('add', 'n2')).toMatch(/say who n2 is/)
    const [own] = cluster.nodes
    const taken = ['--number', '7', '--peer', `127.0.0.1:${own?.peerPort ?? 0}`, '--client', '127.0.0.1:1']
    expect(await refused('add', 'n7', ...taken)).toMatch(/is the peer address of member n1: n7 needs addresses of its own/)
    const unknown = await raftmq(endpoint, ['cluster', 'transfer-leader', '--to', 'n9'])
    expect([unknown.code, unknown.stderr]).toEqual([3, 'there is no node n9; there are n1\n'])
    const waiting = await member(endpoint, 'add', 'n2', '-c', cluster.configPath, '--no-wait')
    expect(waiting.phase).toBe('catchUp')
    expect(await refused('add', 'n3', '-c', cluster.configPath)).toMatch(/another change of members is not finished/)
    const cancelled = await member(endpoint, 'cancel')
    expect([cancelled.phase, voters(cancelled)]).toEqual(['steady', ['n1']])
  } finally {
    await cluster.stop()
  }
}, 60_000)
