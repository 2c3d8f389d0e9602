/** `raftmq chaos` as its users and their scripts meet it: every exit code provoked. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { drawConfiguration } from '../../chaos/configuration.ts'
import { exitCodes, type Verdict } from '../../chaos/report.ts'
import { cliPath } from '../../src/cli/local-cluster.ts'
import { raftmq } from '../support/cluster.ts'

const timeout = 120_000
let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'raftmq-chaos-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

const chaos = (...args: string[]) => raftmq('', ['chaos', ...args])

function aFile(text: string): string {
  const path = join(directory, 'run.json')
  writeFileSync(path, text)
  return path
}

it('0 or 5, as the verdict says; the lines for programs are JSON, and no bar is drawn into a pipe', { timeout }, async () => {
  const { code, stdout, stderr } = await chaos('sim', '--seeds', '1', '--from', '3', '--lite', '--json')
  const lines = stdout.trimEnd().split('\n')
  const [seed, summary] = lines.map(line => JSON.parse(line) as { kind: string; seed?: number; verdict?: Verdict; seeds?: number })
  expect([lines.length, seed?.kind, seed?.seed, summary?.kind, summary?.seeds]).toEqual([2, 'seed', 3, 'summary', 1])
  expect(['valid', 'unknown']).toContain(summary?.verdict)
  expect(code).toBe(exitCodes[summary?.verdict ?? 'anomaly'])
  expect(stderr).toBe('')
})

it('for people the verdict comes first and last', { timeout }, async () => {
  const { code, stdout } = await chaos('sim', '--seeds', '1', '--from', '3', '--lite')
  const lines = stdout.trimEnd().split('\n')
  expect(lines[0]).toMatch(/^verdict +(valid|unknown)/)
  expect(lines.at(-1)).toMatch(/^verdict: (valid|unknown)/)
  expect(stdout).not.toContain('not met')
  expect([0, 5]).toContain(code)
})

it('1 when a promise is broken: here everything had to be done a millisecond after the load', { timeout }, async () => {
  const configuration = {
    ...drawConfiguration(1),
    features: [],
    faults: {},
    calmMs: 1_000,
    stormEndMs: 2_000,
    loadEndMs: 3_000,
    drainMs: 1,
  }
  const path = aFile(JSON.stringify({ what: 'no time to drain', profile: 'swarm', run: { configuration, plan: [] } }))
  const { code, stdout } = await chaos('sim', '--replay', path)
  expect(stdout).toMatch(/seed 1: A51: .* still missing/)
  expect(code).toBe(exitCodes.anomaly)
})

it.each([
  [['sim', '--seeds', '0'], 'a whole number from 1 is wanted'],
  [['sim', '--profile', 'nonsense'], 'one of swarm, '],
  [['sim', '--seed', '1', '--seeds', '3'], 'cannot be used with'],
  [['sim', '--nonsense'], "unknown option '--nonsense'"],
  [['mutants', '--only', 'NONE'], 'there is no mutant NONE'],
])('2 for bad usage: %j', { timeout }, async (args, sentence) => {
  const { code, stdout, stderr } = await chaos(...args)
  expect(stdout + stderr).toContain(sentence)
  expect(code).toBe(exitCodes.usage)
})

it.each([
  ['no JSON', 'nonsense'],
  ['no run', '{"what": "nothing", "profile": "swarm"}'],
])('3, and a sentence without a stack, for the file of a run that is %s', { timeout }, async (_what, text) => {
  const path = aFile(text)
  const { code, stderr } = await chaos('sim', '--replay', path)
  expect(stderr).toContain(`${path} can't be read as the file of a run`)
  expect(stderr).not.toContain('\n    at ')
  expect(code).toBe(exitCodes.harness)
})

it('130 after an interrupt, with the summary of what was done until then', { timeout }, async () => {
  const args = [cliPath(), 'chaos', 'sim', '--seeds', '1000', '--lite', '--json']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', line => {
    lines.push(line)
    if (lines.length === 1) child.kill('SIGINT')
  })
  const code = await new Promise(resolve => child.once('close', resolve))
  const summary = JSON.parse(lines.at(-1) ?? '') as { kind: string; seeds: number }
  expect([summary.kind, summary.seeds]).toEqual(['summary', lines.length - 1])
  expect(summary.seeds).toBeLessThan(10)
  expect(code).toBe(130)
})
