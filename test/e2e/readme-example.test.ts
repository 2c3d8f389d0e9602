/** The README's twelve lines do what the README says, run as its reader would: a file in an empty directory with the official client beside it. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LocalCluster, raftmq } from '../support/cluster.ts'

const root = resolve(import.meta.dirname, '../..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const example = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
let cluster: LocalCluster
let directory: string

beforeAll(async () => {
  cluster = await LocalCluster.start()
  directory = mkdtempSync(join(tmpdir(), 'raftmq-readme-'))
  mkdirSync(join(directory, 'node_modules'))
  symlinkSync(join(root, 'node_modules/rocketmq-client-nodejs'), join(directory, 'node_modules/rocketmq-client-nodejs'))
}, 60_000)

afterAll(async () => {
  await cluster.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** A command as the README writes it. */
function type(command: string): ReturnType<typeof raftmq> {
  const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(match => match[1] ?? match[2] ?? '')
  expect(words.slice(0, 2)).toEqual(['npx', 'raftmq'])
  return raftmq(cluster.endpoint('n1'), words.slice(2))
}

it('the example runs as it stands', async () => {
  expect(example.trimEnd().split('\n').length).toBeLessThanOrEqual(12)
  const first = /first: (npx raftmq [^\n]+)/.exec(example)?.[1] ?? ''
  expect((await type(first)).code).toBe(0)
  expect(example).toContain("'127.0.0.1:8081'")
  writeFileSync(join(directory, 'hello.mjs'), example.replace('127.0.0.1:8081', cluster.endpoint('n2')))
  const output = await new Promise<string>((done, failed) => {
    const options = { cwd: directory, timeout: 30_000, env: { ...process.env, HOME: directory } }
    execFile(process.execPath, ['hello.mjs'], options, (error, stdout, stderr) => {
      if (error === null) done(stdout)
      else failed(new Error(stderr, { cause: error }))
    })
  })
  const promised = /It prints `([^`]+)`/.exec(readme)?.[1]
  expect(output.trim()).toBe(promised)
}, 60_000)

it('the commands without code do, too', async () => {
  const line = readme.split('\n').find(each => each.startsWith('Without code')) ?? ''
  const commands = [...line.matchAll(/`(npx raftmq [^`]+)`/g)].map(match => match[1] ?? '')
  expect(commands.length).toBe(3)
  const [, produce = '', consume = ''] = commands
  expect((await type(produce)).code).toBe(0)
  const consumed = await type(consume)
  expect(consumed.code).toBe(0)
  expect(consumed.stdout).toContain('hello')
}, 60_000)

it('the other commands that the README names are understood', async () => {
  const section = readme.slice(readme.indexOf('## What official clients need'), readme.indexOf('## Running it'))
  const commands = [...section.matchAll(/`(npx raftmq [^`]+)`/g)].map(match => match[1] ?? '')
  expect(commands.length).toBeGreaterThan(1)
  for (const command of commands) {
    const result = await type(command)
    expect({ command, code: result.code, stderr: result.stderr }).toEqual({ command, code: 0, stderr: '' })
  }
}, 60_000)

it('the commands of an operator are there, with the options that the README gives them', async () => {
  const section = readme.slice(readme.indexOf('## Running it'), readme.indexOf('## What is promised'))
  const commands = [...section.matchAll(/`(npx raftmq [^`]+)`/g)].map(match => match[1] ?? '')
  expect(commands.length).toBeGreaterThan(5)
  for (const command of commands) {
    const help = await type(`${command.replaceAll(/ \$\w+/g, ' 1')} --help`)
    const options = [...command.matchAll(/ (--?[a-z-]+)/g)].map(match => match[1] ?? '')
    expect({ command, code: help.code, missing: options.filter(option => !help.stdout.includes(option)) }).toEqual({
      command,
      code: 0,
      missing: [],
    })
    expect(help.stdout).toContain(`Usage: ${command.replace('npx ', '').split(/ [-n1-9$]/)[0] ?? ''}`)
  }
}, 60_000)
