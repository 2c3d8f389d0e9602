/** A file goes in line by line and comes out the same, through the command line. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { clusterWithTopics, raftmq } from '../support/cluster.ts'

/** A log as programs write them: different lengths, repeated lines, non-ASCII. */
function logLines(count: number): string {
  const lines: string[] = []
  for (let i = 0; i < count; i++) {
    const level = i % 17 === 0 ? 'WARN' : i % 101 === 0 ? 'ERROR' : 'INFO'
    lines.push(
      `2026-11-21T${String(Math.floor(i / 3600) % 24).padStart(2, '0')}:00 ${level} worker-${i % 8} request took ${(i * 7919) % 997} ms ${'x'.repeat(i % 61)}${i % 500 === 0 ? ' naïve – 消息' : ''}`,
    )
  }
  return `${lines.join('\n')}\n`
}

it('a file of 100 000 lines through a one-queue topic comes back cmp-equal', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftmq-file-'))
  const cluster = await clusterWithTopics({ lines: 'normal' }, { queues: 1 })
  try {
    const input = join(directory, 'in.log')
    const output = join(directory, 'out.log')
    writeFileSync(input, logLines(100_000))
    const produced = await raftmq(cluster.endpoint('n1'), ['produce', 'lines', '--file', input])
    expect(produced.code, produced.stderr).toBe(0)
    const consumed = await raftmq(cluster.endpoint('n3'), [
      'consume',
      'lines',
      '-g',
      'copy',
      '--from',
      'first',
      '--until-empty',
      '--out',
      output,
    ])
    expect(consumed.code, consumed.stderr).toBe(0)
    expect(readFileSync(output).equals(readFileSync(input))).toBe(true)
  } finally {
    await cluster.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}, 180_000)
