/** The demo as its user meets it: on a terminal with keys, and without one. The terminal is made by util-linux's `script`. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { cliPath } from '../../src/cli/local-cluster.ts'

const run = promisify(execFile)
const hasScript = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0
if (!hasScript) process.stderr.write('SKIPPED: the demo on a terminal, for there is no `script` command (util-linux) to make one\n')

/** Waits until the terminal shows the text behind what was seen before. */
class Terminal {
  readonly #child = spawn('script', ['-qfec', `${process.execPath} ${cliPath()} demo`, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
  #text = ''
  #seen = 0
  readonly exitCode: Promise<number | null>

  constructor() {
    this.#child.stdout.on('data', (chunk: Buffer) => (this.#text += chunk.toString()))
    this.exitCode = new Promise(done => this.#child.once('exit', code => done(code)))
  }

  press(key: string): void {
    this.#child.stdin.write(key)
  }

  async shows(text: string): Promise<void> {
    const end = Date.now() + 60_000
    while (!this.#text.slice(this.#seen).includes(text)) {
      if (Date.now() > end) throw new Error(`"${text}" was not shown; the end of what was: ${this.#text.slice(-2_000)}`)
      await new Promise(done => setTimeout(done, 50))
    }
    this.#seen = this.#text.indexOf(text, this.#seen) + text.length
  }

  get text(): string {
    return this.#text
  }
}

test.skipIf(!hasScript)('keys kill, cut off and restore the leader, and at the end nothing is lost', { timeout: 180_000 }, async () => {
  const terminal = new Terminal()
  await terminal.shows('[q] quit')
  terminal.press('k')
  await terminal.shows('killed (SIGKILL)')
  await terminal.shows('sends accepted again')
  terminal.press('v')
  await terminal.shows('press r first')
  terminal.press('r')
  await terminal.shows('is back, ready after')
  terminal.press('c')
  await terminal.shows('cut off from the other nodes')
  await terminal.shows('sends accepted again')
  terminal.press('rq')
  await terminal.shows('is back')
  await terminal.shows('Nothing acknowledged was lost.')
  expect(await terminal.exitCode).toBe(0)
  // The cursor is shown again, last of all.
  expect(terminal.text.lastIndexOf('\u001b[?25h')).toBeGreaterThan(terminal.text.lastIndexOf('\u001b[?25l'))
})

test.skipIf(!hasScript)('Ctrl-C ends it at once, with the terminal as it was', { timeout: 60_000 }, async () => {
  const terminal = new Terminal()
  await terminal.shows('[q] quit')
  terminal.press('\u0003')
  await terminal.shows('demo interrupted; the nodes are stopped')
  expect(await terminal.exitCode).toBe(130)
  expect(terminal.text.lastIndexOf('\u001b[?25h')).toBeGreaterThan(terminal.text.lastIndexOf('\u001b[?25l'))
})

test('without a terminal it says what to run instead', async () => {
  const failed = run(process.execPath, [cliPath(), 'demo'])
  await expect(failed).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('raftmq demo --script') as string })
})
