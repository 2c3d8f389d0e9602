/**
 * Transcripts: raft/test/scenarios/*.txt replay themselves. A file is comments (#), commands, a line of dashes, and what the nodes did; blocks are
 * parted by empty lines. `vitest run raft/test/scenario.test.ts -u` records anew: a change of behaviour is a diff for a person to read.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { refusals } from '../core/refusal.ts'
import { Stage } from './stage.ts'
import { perform } from './verbs.ts'

const core = join(import.meta.dirname, '../core')
const folder = join(import.meta.dirname, 'scenarios')
const files = readdirSync(folder)
  .filter(name => name.endsWith('.txt'))
  .sort()

function replay(text: string): string {
  const stage = new Stage()
  const blocks = text.trimEnd().split(/\n\n+/)
  return blocks.map(block => replayBlock(stage, block)).join('\n\n') + '\n'
}

function replayBlock(stage: Stage, block: string): string {
  const lines = block.split('\n')
  const dashes = lines.indexOf('----')
  const story = dashes < 0 ? lines : lines.slice(0, dashes)
  const commands = story.filter(line => !line.startsWith('#'))
  for (const command of commands) perform(stage, command)
  const said = stage.takeLines()
  if (commands.length === 0) return story.join('\n')
  return [...story, '----', ...said].join('\n')
}

test.each(files)('%s', async file => {
  const path = join(folder, file)
  await expect(replay(readFileSync(path, 'utf8'))).toMatchFileSnapshot(path)
})

test('every way of refusing is shown by a transcript or named by a test', () => {
  const shown = files.map(file => readFileSync(join(folder, file), 'utf8')).join('\n')
  const named = readdirSync(core)
    .filter(name => name.endsWith('.test.ts'))
    .map(name => readFileSync(join(core, name), 'utf8'))
    .join('\n')
  const missing = Object.keys(refusals).filter(id => !shown.includes(id) && !named.includes(id))
  expect(missing).toEqual([])
})

test('every transcript and file that the catalogue and the page of known bugs name is there', () => {
  const root = join(import.meta.dirname, '../..')
  for (const page of ['raft/test/catalogue.md', 'docs/known-raft-bugs.md']) {
    const text = readFileSync(join(root, page), 'utf8')
    // In back quotes stand transcripts, files, and codes of assertions; the last are told apart by their word.
    const named = [...text.matchAll(/((?:assertion|invariant)s? )?`([a-z0-9]+-[a-z0-9-]+)`/g)].filter(match => match[1] === undefined)
    expect(named.map(match => `${match[2] ?? ''}.txt`).filter(name => !files.includes(name))).toEqual([])
    const sources = [...text.matchAll(/`([a-z/-]+\.(?:ts|md))`/g)].map(match => match[1] ?? '')
    const isThere = (name: string) => [root, core, import.meta.dirname].some(folder => existsSync(join(folder, name)))
    expect(sources.filter(name => !isThere(name))).toEqual([])
  }
})

test('the page of known bugs has a row for each of the 160', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/known-raft-bugs.md'), 'utf8')
  const rows = [...text.matchAll(/^\| (\d+) \| (.+) \| (.+) \|$/gm)].map(match => Number(match[1]))
  expect(rows).toEqual(Array.from({ length: 160 }, (_, i) => i + 1))
})
