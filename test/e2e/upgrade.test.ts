/** A rolling upgrade of real processes: nodes that stand in for the build before, beside nodes of this one, there and back and through the finalisation. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { LocalCluster, raftmq, until } from '../support/cluster.ts'

const before = { RAFTMQ_UPGRADE_LEVEL_MAX: '1' }

interface Status {
  readonly featureLevel: number
  readonly nodes: readonly { readonly name: string; readonly featureLevelMax: number; readonly isConnected: boolean }[]
}

it('goes up node by node, back again before the finalisation, and never behind it', { timeout: 120_000 }, async () => {
  const cluster = await LocalCluster.start({ extraConfig: 'upgrade: { level_max: 1 }' })
  try {
    const endpoint = cluster.nodes.map(node => cluster.endpoint(node.name)).join(',')
    const ask = async (...args: string[]) => raftmq(endpoint, args)
    const status = async () => JSON.parse((await ask('cluster', 'status', '-o', 'json')).stdout) as Status
    const exchange = async (name: string, environment: Readonly<Record<string, string>>) => {
      await cluster.signal(name, 'SIGTERM')
      await cluster.startNode(name, environment)
      // Everybody serves while it goes on.
      expect((await ask('produce', 'work', `with ${name} exchanged`)).code).toBe(0)
    }
    const next = { RAFTMQ_UPGRADE_LEVEL_MAX: 'newest' }
    expect((await ask('topic', 'create', 'work')).code).toBe(0)
    expect((await status()).featureLevel).toBe(1)

    await exchange('n1', next)
    await exchange('n2', next)
    const early = await ask('cluster', 'finalize')
    expect([early.code, early.stderr]).toEqual([4, expect.stringContaining('n3') as string])
    await exchange('n1', before)
    await exchange('n1', next)
    await exchange('n3', next)
    await until(
      async () => (await status()).nodes.every(node => node.isConnected && node.featureLevelMax === 2),
      'all are of the next build',
    )
    expect((await status()).featureLevel).toBe(1)

    const done = await ask('cluster', 'finalize', '-o', 'json')
    expect([done.code, done.stderr, done.stdout === '' ? undefined : JSON.parse(done.stdout)]).toEqual([0, '', { before: 1, level: 2 }])
    await until(async () => (await status()).featureLevel === 2, 'the level is known')
    await cluster.signal('n2', 'SIGTERM')
    await expect(cluster.startNode('n2', before)).rejects.toThrow('before it was ready')
    expect(readFileSync(join(cluster.directory, 'n2.log'), 'utf8')).toContain(
      'this group is at feature level 2, this node supports level 1: start it with a build that supports level 2',
    )
    await cluster.startNode('n2', next)
    const all = await ask('consume', 'work', '-g', 'audit', '--from', 'first', '--until-empty')
    expect(all.stdout.split('\n').filter(line => line !== '')).toHaveLength(5)
  } finally {
    await cluster.stop()
  }
})
