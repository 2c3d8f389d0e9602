import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
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
  [['topic', 'list', '-e', '127.0.0.1:99999'], 'a port is a number from 1 to 65535'],
  [['topic', 'create', 'a', '--nonsense'], '(raftmq topic create --help says more)'],
  [['cluster', 'member', 'add', 'n4', '--timeout', 'abc'], 'a whole number from 0 to 86400'],
  [['cluster', 'member', 'add', 'n9', '-c', 'cluster.example.yaml'], 'there is no node n9'],
  [['recover', '-c', 'cluster.example.yaml', '--node', 'n9', '--dry-run'], 'there is no node n9'],
  [['recover', '-c', 'cluster.example.yaml', '--dry-run'], 'say which node this is: --node n1 or --node n2'],
  [['recover', '-c', 'src', '--dry-run'], 'src is a directory, not a file'],
  [['dev', '--data', 'package.json'], '--data: package.json is a file, not a directory'],
  [['bench', '--seconds', 'x'], 'a whole number from 1 to 3600'],
  [['bench', '--seconds', '0'], 'a whole number from 1 to 3600'],
  [['bench', '--only', 'nothing'], '--only nothing: no such point; there are send leader 1, send leader 64'],
  [['chaos', 'sim', '--seed', '1', '--seeds', '3'], "'--seed <seed>' cannot be used with option '--seeds <n>'"],
])('%j ends with 2 and says why', async (args, sentence) => {
  expect(await run(args)).toBe(2)
  expect(shown.toLowerCase()).toContain(sentence.toLowerCase())
})

test('a configuration that is not there, is wrong, or has no such node ends with 2 and one line', async () => {
  expect(await run(['start', '-c', join(directory, 'none.yaml'), '--node', 'n1'])).toBe(2)
  expect(shown).toBe(`there is no file ${join(directory, 'none.yaml')}\n`)
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

test('what listens there and is no node is told apart from nobody', async () => {
  const server = createServer(socket => socket.end('HTTP/1.1 200 OK\r\n\r\n'))
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  expect(await run(['topic', 'list', '-e', `127.0.0.1:${port}`])).toBe(6)
  expect(shown).toBe(`something answers at 127.0.0.1:${port} that is not the client port of a node\n`)
  server.close()
})

test('the examples of the help can be pasted into a shell, and group names all that it can', async () => {
  expect(await run(['group', 'lag', '--help'])).toBe(0)
  expect(shown).toContain("| jq '.topics[].behind'")
  expect(await run(['group', '--help'])).toBe(0)
  expect(shown).toContain('show how far they lag')
  expect(await run(['cluster', 'member', 'add', '--help'])).toBe(0)
  expect(shown).toContain('--peer h4:7081')
})

test('endpoints may carry a scheme and stand side by side', () => {
  expect(parseEndpoints('http://a:1, b:2;[::1]:3')).toEqual(['a:1', 'b:2', '[::1]:3'])
  expect(() => parseEndpoints('a')).toThrow('is not an address')
})
