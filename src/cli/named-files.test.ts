import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fileProblem, namedFile } from './named-files.ts'

const systemError = (code: string, path?: string): Error =>
  Object.assign(new Error(code), { code, ...(path === undefined ? {} : { path }) })

test.each([
  [systemError('ENOENT'), 'package.json', 'there is no file package.json'],
  [systemError('ENOENT'), '/no/dir/file', 'there is no directory /no/dir'],
  [systemError('EACCES'), 'a', 'a: this user may not open it (permission denied)'],
  [systemError('EISDIR'), 'a', 'a is a directory, not a file'],
  [systemError('EEXIST'), 'a', 'a is a file, not a directory'],
  [systemError('ENOTDIR'), 'a/b', 'a/b: a part of this path is a file, not a directory'],
  [systemError('EIO'), 'a', undefined],
  [new Error('a bug'), 'a', undefined],
])('%s of %s', (error, path, sentence) => {
  expect(fileProblem(error, path)).toBe(sentence)
})

test('only what stands in the command line was named by the user; any other file is our own business', () => {
  const args = ['consume', 'a', '--out=x/y', '-c', 'cluster.yaml']
  expect(namedFile(systemError('ENOENT', join(process.cwd(), 'x/y')), args)).toBe('x/y')
  expect(namedFile(systemError('ENOENT', 'cluster.yaml'), args)).toBe('cluster.yaml')
  expect(namedFile(systemError('ENOENT', 'dist/src/cli/recover.js'), args)).toBeUndefined()
  expect(namedFile(new Error('a bug'), args)).toBeUndefined()
})

test('a read of a directory does not say of which: it is the one in the command line', () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftmq-'))
  let error: unknown
  try {
    readFileSync(directory)
  } catch (thrown) {
    error = thrown
  }
  expect(namedFile(error, ['produce', 'a', '-f', directory])).toBe(directory)
  rmSync(directory, { recursive: true })
})
