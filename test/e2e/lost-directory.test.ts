/** A real node comes back with an empty directory: it is refused with a sentence that says what to do, and doing that brings it back. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { clusterWithTopics, raftmq, until } from '../support/cluster.ts'

interface Listed {
  readonly members: readonly { readonly name: string; readonly role: string }[]
}

interface Status {
  readonly nodes: readonly { readonly name: string; readonly isConnected: boolean; readonly appliedIndex: number }[]
}

it('an empty directory under a voter’s name has no say; member replace lets it in anew, with all that it lost', async () => {
  const cluster = await clusterWithTopics({ work: 'normal' })
  try {
    const endpoint = cluster.endpoint('n1')
    const produced = await raftmq(endpoint, ['produce', 'work', '--file', '-'], Array.from({ length: 50 }, (_, n) => `m${n}\n`).join(''))
    expect([produced.code, produced.stderr.includes('failed')]).toEqual([0, false])
    await cluster.signal('n2', 'SIGKILL')
    rmSync(join(cluster.directory, 'n2'), { recursive: true })
    await cluster.startNode('n2')
    const logOf = (name: string): string => readFileSync(join(cluster.directory, `${name}.log`), 'utf8')
    await until(() => logOf('n2').includes('raftmq cluster member replace n2'), 'n2 says what to do')
    expect(logOf('n2')).toMatch(/n2 is not the data directory that votes as node 2: taking no part/)
    await until(() => logOf('n1').includes('a peer came with another data directory'), 'n1 says so too')
    const status = JSON.parse((await raftmq(endpoint, ['cluster', 'status', '-o', 'json'])).stdout) as Status
    expect(status.nodes.find(({ name }) => name === 'n2')?.isConnected).toBe(false)

    const replaced = await raftmq(endpoint, ['cluster', 'member', 'replace', 'n2', '-o', 'json'])
    expect([replaced.code, replaced.stderr]).toEqual([0, ''])
    const { members } = JSON.parse(replaced.stdout) as Listed
    expect(members.filter(({ role }) => role === 'voter').map(({ name }) => name)).toEqual(['n1', 'n2', 'n3'])
    await cluster.signal('n3', 'SIGKILL')
    const read = await raftmq(cluster.endpoint('n2'), ['consume', 'work', '-g', 'audit', '--from', 'first', '--until-empty'])
    expect(read.stdout.split('\n').filter(line => line !== '').length).toBe(50)
  } finally {
    await cluster.stop()
  }
}, 120_000)
