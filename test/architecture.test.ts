/** The house keeps its shape: every folder of product code is on a floor, and imports go down only. */
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { floors } from './floors.js'

const root = resolve(import.meta.dirname, '..')
const productRoots = ['src', 'raft', 'chaos']

function sources(directory: string): string[] {
  return readdirSync(directory).flatMap(name => {
    const path = join(directory, name)
    if (statSync(path).isDirectory()) return sources(path)
    return name.endsWith('.ts') ? [path] : []
  })
}

function floorOf(path: string): number {
  const name = relative(root, path)
  return floors.findIndex(floor => name === floor || name.startsWith(`${floor}/`))
}

/** Static and dynamic imports of a file that name another file of the repo. */
function importsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map(match => resolve(dirname(path), match[1] ?? ''))
}

const files = productRoots.flatMap(name => sources(join(root, name)))

describe('the house', () => {
  it('has enough files to be worth checking', () => {
    expect(files.length).toBeGreaterThan(20)
  })

  it('puts every product file on a floor', () => {
    expect(files.filter(file => floorOf(file) < 0).map(file => relative(root, file))).toEqual([])
  })

  it('imports go down the floors only', () => {
    const upward: string[] = []
    for (const file of files) {
      for (const target of importsOf(file)) {
        const there = floorOf(target)
        if (there > floorOf(file)) upward.push(`${relative(root, file)} -> ${relative(root, target)}`)
      }
    }
    expect(upward).toEqual([])
  })

  it('enters raft by its one door', () => {
    const around = files
      .filter(file => !relative(root, file).startsWith('raft/'))
      .flatMap(file => importsOf(file).map(target => ({ file, target })))
      .filter(({ target }) => relative(root, target).startsWith('raft/') && relative(root, target) !== 'raft/index.ts')
    expect(around.map(({ file, target }) => `${relative(root, file)} -> ${relative(root, target)}`)).toEqual([])
  })

  it('skips and focuses no test', () => {
    const testFiles = [...files, ...sources(join(root, 'test'))].filter(file => file.endsWith('.test.ts'))
    const marked = testFiles.filter(file =>
      /\b(?:it|test|describe)\.(?:skip|only|todo)\b/.test(readFileSync(file, 'utf8').replace(/\/\\b.*/g, '')),
    )
    expect(marked.map(file => relative(root, file))).toEqual([])
  })
})
