/**
 * Transcripts: raft/test/scenarios/*.txt replay themselves. A file is comments (#), commands, a line of dashes, and what the nodes did; blocks are
 * parted by empty lines. `vitest run raft/test/scenario.test.ts -u` records anew: a change of behaviour is a diff for a person to read.
 */
import { readdirSync, readFileSync } from 'node:fs'
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

test('every transcript and file that the catalogue names is there', () => {
  const catalogue = readFileSync(join(import.meta.dirname, 'catalogue.md'), 'utf8')
  // In back quotes stand transcripts, files, and codes of assertions; the last are told apart by their word.
  const named = [...catalogue.matchAll(/(assertions? )?`([a-z0-9]+-[a-z0-9-]+)`/g)].filter(match => match[1] === undefined)
  expect(named.map(match => `${match[2] ?? ''}.txt`).filter(name => !files.includes(name))).toEqual([])
  const sources = [...catalogue.matchAll(/`([a-z-]+(?:\.test)?\.ts)`/g)].map(match => match[1] ?? '')
  const known = [...readdirSync(core), ...readdirSync(import.meta.dirname)]
  expect(sources.filter(name => !known.includes(name))).toEqual([])
})
