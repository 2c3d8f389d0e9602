/** What the command line says to its user where a cluster has to be asked first. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { clusterWithTopics, raftmq } from '../support/cluster.ts'

it('advice fits what was asked for; a file that cannot be written is a sentence; bare lag means all groups', async () => {
  const cluster = await clusterWithTopics({ work: 'normal' }, { queues: 1 })
  try {
    const cli = (...args: readonly string[]) => raftmq(cluster.endpoint('n1'), args)
    const gone = await cli('topic', 'delete', 'nope')
    expect([gone.code, gone.stderr]).toEqual([3, expect.stringMatching(/^there is no topic nope .*--if-exists/)])
    expect((await cli('topic', 'delete', 'nope', '--if-exists')).code).toBe(0)
    const nowhere = join(cluster.directory, 'none')
    const out = await cli('consume', 'work', '-g', 'me', '--until-empty', '--out', join(nowhere, 'file'))
    expect([out.code, out.stderr]).toEqual([2, `there is no directory ${nowhere}\n`])
    const input = await cli('produce', 'work', '--file', cluster.directory)
    expect([input.code, input.stderr]).toEqual([2, expect.stringMatching(/ is a directory, not a file\n$/)])
    await cli('produce', 'work', 'hello')
    expect((await cli('topic', 'get', 'work')).stdout).toContain('1 queue, 1 message\n')
    await cli('group', 'create', 'other')
    const lag = JSON.parse((await cli('group', 'lag', '-o', 'json')).stdout) as { name: string; topics: { behind: number }[] }[]
    expect(lag.map(({ name, topics }) => [name, topics.map(({ behind }) => behind)])).toEqual([
      ['me', [1]],
      ['other', []],
    ])
    const screen = await cli('group', 'lag')
    expect(screen.stdout).toMatch(/^me\nTOPIC .*\nwork /)
    expect(screen.stdout).toContain('\nother has no place in any topic yet\n')
  } finally {
    await cluster.stop()
  }
}, 60_000)
