/** An operator's slips: what makes no sense is refused with its own exit code and a sentence, and who waits is told for what. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { clusterWithTopics, raftmq, until, type CliResult } from '../support/cluster.ts'

it('slips are refused, a change that waits says for whom, and what is given up of safety is said', async () => {
  const cluster = await clusterWithTopics({ work: 'normal' }, { nodeCount: 1, spareCount: 1 })
  try {
    const run = (...words: readonly string[]): Promise<CliResult> => raftmq(cluster.endpoint('n1'), words)
    const member = (...words: readonly string[]): Promise<CliResult> => run('cluster', 'member', ...words)
    const end = async (result: Promise<CliResult>): Promise<[number, string]> => {
      const { code, stderr } = await result
      return [code, stderr.trim()]
    }
    expect(await end(run('group', 'create', 'g', '--topic', 'nope'))).toEqual([3, 'There is no topic nope: create it first.'])
    expect((await run('group', 'create', 'g', '--topic', 'work')).code).toBe(0)
    expect(await end(run('group', 'create', 'g', '--fifo'))).toEqual([4, 'group g exists; --replace changes it'])
    expect((await run('group', 'create', 'g', '--fifo', '--replace')).stdout).toBe('group g: fifo, at most 17 attempts\n')

    expect(await end(member('remove', 'n9'))).toEqual([3, 'there is no member n9; there are n1'])
    expect((await end(member('replace', 'n9')))[0]).toBe(3)
    expect((await end(run('cluster', 'raft', '--node', 'n9')))[0]).toBe(3)
    expect(await end(member('add', 'n1', '-c', cluster.configPath))).toEqual([4, 'n1 is a voter already'])

    const [code, waiting] = await end(member('add', 'n2', '-c', cluster.configPath, '--timeout', '1'))
    expect(code).toBe(7)
    expect(waiting).toMatch(/waits for n2 at 127\.0\.0\.1:\d+, which has not answered yet.*give up: raftmq cluster member cancel$/)
    const status = (await run('cluster', 'status')).stdout
    expect(status).toMatch(/^n2 +learner/m)
    expect(status.replace(/\s+/g, ' ')).toContain('a change of members waits for n2')
    expect(status.split('\n').filter(line => line.length > 100)).toEqual([])
    expect((await member('cancel')).code).toBe(0)

    await cluster.startNode('n2')
    const log = (): string => readFileSync(join(cluster.directory, 'n2.log'), 'utf8')
    await until(() => log().includes('waiting for raftmq cluster member add n2'), 'n2 says what it waits for')
    const outside = await raftmq(cluster.endpoint('n2'), ['cluster', 'status'])
    expect(outside.stdout).toMatch(/^n2 is no member/)
    expect((await member('add', 'n2', '-c', cluster.configPath)).code).toBe(0)
    const [refused, why] = await end(member('replace', 'n2'))
    expect(refused).toBe(4)
    expect(why).toMatch(/^n2 is up, with the directory that votes.*--force/)
    expect((await member('remove', 'n2')).stdout).toMatch(/1 voter: no failure is survived any more\n$/)
    const raft = (await run('cluster', 'raft', '--node', 'n1')).stdout
    expect(raft).not.toMatch(/learners/)
  } finally {
    await cluster.stop()
  }
}, 90_000)
