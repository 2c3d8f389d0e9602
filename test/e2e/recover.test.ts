/**
 * Two of three real nodes are killed and their directories deleted; the third is made the group by `raftmq recover`, serves all that it held, and two
 * new directories join it. And what the command refuses at its own prompt.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Producer } from 'rocketmq-client-nodejs'
import { expect, it } from 'vitest'
import { clusterWithTopics, raftmq, silentLogger, until, type CliResult, type LocalCluster } from '../support/cluster.ts'

interface Outcome {
  readonly result: string
  readonly mayLoseAfter: number
  readonly voters: readonly string[]
  readonly answering: readonly string[]
  readonly problems: readonly string[]
  readonly after: { readonly index: number }
}

const recover = (cluster: LocalCluster, ...more: readonly string[]): Promise<CliResult> =>
  raftmq('', ['recover', '-c', cluster.configPath, '--node', 'n3', ...more])

function outcome({ code, stdout, stderr }: CliResult): Outcome {
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return JSON.parse(stdout) as Outcome
}

/** The nodes whose directories were lost come back as newcomers. */
function letJoin(cluster: LocalCluster, ...names: readonly string[]): void {
  let text = readFileSync(cluster.configPath, 'utf8')
  for (const name of names) text = text.replace(`{ id: ${name},`, `{ id: ${name}, join: true,`)
  writeFileSync(cluster.configPath, text)
}

async function send(endpoint: string, from: number, count: number): Promise<void> {
  const producer = new Producer({ namespace: '', logger: silentLogger, endpoints: endpoint, topic: 'work' })
  await producer.startup()
  for (let n = from; n < from + count; n++) await producer.send({ topic: 'work', body: Buffer.from(`m${n}`) })
  await producer.shutdown()
}

it('two of three directories are gone: the third becomes the group, keeps what it held, and grows to three again', async () => {
  const cluster = await clusterWithTopics({ work: 'normal' })
  try {
    await send(cluster.endpoint('n3'), 0, 40)
    const running = await recover(cluster)
    expect([running.code, running.stderr]).toEqual([4, expect.stringMatching(/n3 is running: stop it first/)])
    const again = await raftmq('', ['start', '-c', cluster.configPath, '--node', 'n3'])
    expect([again.code, again.stderr]).toEqual([4, expect.stringContaining(`data directory ${join(cluster.directory, 'n3')} is in use by`)])
    await cluster.signal('n3', 'SIGTERM')
    // n1 and n2 are there, so nothing is lost and nothing is done.
    const needless = await recover(cluster, '--yes', '--may-lose-after', '1')
    expect([needless.code, needless.stderr]).toEqual([
      4,
      expect.stringMatching(/n1, n2 of n1, n2, n3 answer: .* nothing is lost; start n3/),
    ])
    for (const name of ['n1', 'n2']) {
      await cluster.signal(name, 'SIGKILL')
      rmSync(join(cluster.directory, name), { recursive: true })
    }
    const plan = outcome(await recover(cluster, '--dry-run', '-o', 'json'))
    expect(plan).toMatchObject({ result: 'dryRun', voters: ['n1', 'n2', 'n3'], answering: [], problems: [] })
    const screen = await recover(cluster, '--dry-run')
    expect(screen.stdout).toMatch(/voters, by entry \d+: n1, n2, n3/)
    expect(screen.stdout).toMatch(/May be lost: whatever the others acknowledged behind entry/)
    const unasked = await recover(cluster)
    expect([unasked.code, unasked.stderr]).toEqual([2, expect.stringMatching(/nobody can be asked here; with --yes --may-lose-after \d+/)])
    const bare = await recover(cluster, '--yes')
    expect([bare.code, bare.stderr]).toEqual([2, expect.stringMatching(/--yes alone is not enough/)])
    const wrong = await recover(cluster, '--yes', '--may-lose-after', String(plan.mayLoseAfter - 1))
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringMatching(/the last entry here is \d+; nothing was changed/)])
    const done = outcome(await recover(cluster, '--yes', '--may-lose-after', String(plan.mayLoseAfter), '-o', 'json'))
    expect([done.result, done.after.index]).toEqual(['recovered', plan.mayLoseAfter + 1])
    expect(outcome(await recover(cluster, '--yes', '-o', 'json')).result).toBe('alreadyRecovered')
    const steps = (await recover(cluster)).stdout.split('Next:\n')[1]?.split('\n') ?? []
    expect(steps.slice(0, 2).map(step => step.trim())).toEqual([
      'cluster.yaml, on every machine: write join: true for n1 and n2, in one edit',
      'raftmq start -c cluster.yaml --node n3',
    ])

    letJoin(cluster, 'n1', 'n2')
    await cluster.startNode('n3')
    // Its routes name it alone as soon as it has applied what it was made.
    const nodes = async (): Promise<readonly unknown[]> =>
      (JSON.parse((await raftmq(cluster.endpoint('n3'), ['cluster', 'status', '-o', 'json'])).stdout) as { nodes: unknown[] }).nodes
    await until(async () => cluster.leader === 'n3' && (await nodes()).length === 1, 'n3 leads alone')
    await send(cluster.endpoint('n3'), 40, 10)
    for (const name of ['n1', 'n2']) {
      await cluster.startNode(name)
      const added = await raftmq(cluster.endpoint('n3'), ['cluster', 'member', 'add', name, '-c', cluster.configPath])
      expect([added.code, added.stderr]).toEqual([0, ''])
    }
    await send(cluster.endpoint('n1'), 50, 10)
    const read = await raftmq(cluster.endpoint('n2'), ['consume', 'work', '-g', 'audit', '--from', 'first', '--until-empty'])
    const bodies = read.stdout.split('\n').filter(line => line !== '')
    expect(bodies.toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1)))).toEqual(Array.from({ length: 60 }, (_, n) => `m${n}`))
    const status = await raftmq(cluster.endpoint('n1'), ['cluster', 'status'])
    expect(status.stdout.replace(/\s+/g, ' ')).toMatch(
      /n3 was made the whole group by raftmq recover on .*: what others had acknowledged behind entry .* may be lost/,
    )
  } finally {
    await cluster.stop()
  }
}, 120_000)
