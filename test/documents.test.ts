/** The documents stay true where a machine can tell: what they name exists. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { floors } from './floors.js'

const root = resolve(import.meta.dirname, '..')

function markdownIn(directory: string): string[] {
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap(entry => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return markdownIn(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}

const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'raft/README.md', ...markdownIn('docs')]
/** Names in code quotes that begin here are paths of the repository. */
const pathStart = /^(?:src|raft|chaos|test|bench|docs|proto|bin|\.ci)\//
/** Made by a build, not kept. */
const isMade = (path: string): boolean => path.startsWith('proto/gen')

/** Paths in code quotes: `src/state/apply.ts`, also `chaos/checkers/` and with a wildcard or a placeholder up to that. */
function quotedPaths(text: string): string[] {
  return [...text.matchAll(/`([^`\s]+)`/g)]
    .map(match => match[1] ?? '')
    .filter(name => pathStart.test(name) && !isMade(name))
    .map(name => name.replace(/[*<{].*$/, ''))
}

/** Targets of links that are no addresses, from the document's own place. */
function linkedPaths(document: string, text: string): string[] {
  return [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
    .map(match => match[1] ?? '')
    .filter(target => !/^[a-z]+:/.test(target))
    .map(target => join(dirname(document), target))
}

/** raft/ is a library of its own: its README says `core/log.ts` and `test/scenarios/`, and goes on with bare names of the same folder. */
function pathsOfLibrary(text: string): string[] {
  let folder = 'core/'
  return [...text.matchAll(/`((?:core|driver|codec|test)\/[^`\s]*|[a-z][a-z-]*\.ts)`/g)].map(([, name = '']) => {
    if (!name.includes('/')) return join('raft', folder, name)
    folder = name.slice(0, name.indexOf('/') + 1)
    return join('raft', name.replace(/[*<{].*$/, ''))
  })
}

describe('the documents', () => {
  it.each(documents)('name only files that exist: %s', document => {
    const text = readFileSync(join(root, document), 'utf8')
    const quoted = document.startsWith('raft/')
      ? [...quotedPaths(text).filter(path => !path.startsWith('test/')), ...pathsOfLibrary(text)]
      : quotedPaths(text)
    const named = [...quoted, ...linkedPaths(document, text)]
    expect(named.filter(path => !existsSync(join(root, path)))).toEqual([])
  })

  it('name in raft/README.md what stands in raft/, by its place or by its name alone', () => {
    expect(pathsOfLibrary('`core/log.ts` `quorum.ts` `test/scenarios/*.txt` `driver/node.ts` `docs/rules.md` `step(event)`')).toEqual([
      'raft/core/log.ts',
      'raft/core/quorum.ts',
      'raft/test/scenarios/',
      'raft/driver/node.ts',
    ])
  })

  it('draw all floors, top down', () => {
    const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
    const drawn = [...text.matchAll(/^ (src\/[a-z]+|raft|chaos) {2,}/gm)].map(match => match[1])
    expect(drawn).toEqual([...floors].reverse())
  })

  it('answer at least 25 questions of "Where do I find …"', () => {
    const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
    const section = text.slice(text.indexOf('## Where do I find'), text.indexOf('## Formats'))
    expect(section.split('\n').filter(line => line.startsWith('| ')).length).toBeGreaterThan(25)
  })

  it('name npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
    const builtIn = new Set(['test', 'start', 'ci', 'i', 'install'])
    const named = documents.flatMap(document => [
      ...readFileSync(join(root, document), 'utf8').matchAll(/npm run (?:-s )?([a-z][a-z:-]*)/g),
    ])
    const unknown = named.map(match => match[1] ?? '').filter(name => scripts[name] === undefined && !builtIn.has(name))
    expect(unknown).toEqual([])
  })
})
