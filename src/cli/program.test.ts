import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { parseEndpoints } from './client.ts'
import { run } from './program.ts'

let directory = ''
let shown = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'raftmq-cli-'))
  shown = ''
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation(text => {
      shown += String(text)
      return true
    })
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(directory, { recursive: true, force: true })
})

function aConfig(text: string): string {
  const file = join(directory, 'cluster.yaml')
  writeFileSync(file, text)
  return file
}

test('the help names every command and the exit codes', async () => {
  expect(await run(['--help'])).toBe(0)
  for (const word of ['dev', 'start', 'cluster', 'topic', 'group', 'produce', 'consume', 'chaos', '74 disk failed', 'RAFTMQ_ENDPOINT'])
    expect(shown).toContain(word)
})

test.each([
  [['nonsense'], "unknown command 'nonsense'"],
  [['topic', 'creat', 'a'], 'did you mean create'],
  [['topic', 'create'], "missing required argument 'name'"],
  [['topic', 'create', 'a', '--queues', '0'], 'a whole number from 1 to 1024'],
  [['topic', 'create', 'a', '--type', 'lifo'], 'Allowed choices are normal, fifo'],
  [['topic', 'list', '-o', 'xml'], 'Allowed choices are table, json'],
  [['consume', 'a'], "required option '-g, --group <group>'"],
  [['consume', 'a', '-g', 'g', '--follow', '--until-empty'], 'cannot be used with'],
  [['produce', 'a', 'text', '--file', 'b'], 'not both'],
  [['produce', 'a', ''], 'a message needs a body'],
  [['topic', 'list', '-e', 'nowhere'], 'is not an address; write host:port'],
  [['start', '--node', 'n1'], "required option '-c, --config <file>'"],
])('%j ends with 2 and says why', async (args, sentence) => {
  expect(await run(args)).toBe(2)
  expect(shown.toLowerCase()).toContain(sentence.toLowerCase())
})

test('a configuration that is not there, is wrong, or has no such node ends with 2 and one line', async () => {
  expect(await run(['start', '-c', join(directory, 'none.yaml'), '--node', 'n1'])).toBe(2)
  expect(shown).toContain('none.yaml: ENOENT')
  shown = ''
  expect(await run(['start', '-c', aConfig('version: 1\nnodes: [{ id: n1, host: a }]\nraft: { hartbeat: 1s }\n'), '--node', 'n1'])).toBe(2)
  expect(shown).toMatch(/cluster\.yaml:3: unknown key raft\.hartbeat; did you mean raft\.heartbeat\?\n$/)
  shown = ''
  expect(await run(['start', '-c', aConfig('version: 1\nnodes: [{ id: n1, host: a }]\n'), '--node', 'n2'])).toBe(2)
  expect(shown).toMatch(/there is no node n2; did you mean n1\?\n$/)
})

test('a cluster that is not there ends with 6, and says where it was looked for', async () => {
  expect(await run(['topic', 'list', '-e', '127.0.0.1:1'])).toBe(6)
  expect(shown).toBe('no node answers at 127.0.0.1:1: nobody listens there\n')
})

test('endpoints may carry a scheme and stand side by side', () => {
  expect(parseEndpoints('http://a:1, b:2;[::1]:3')).toEqual(['a:1', 'b:2', '[::1]:3'])
  expect(() => parseEndpoints('a')).toThrow('is not an address')
})
