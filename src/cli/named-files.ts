/** What went wrong with a file that the user named, as a sentence in place of what the system says. */
import { existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** Undefined: this is no error of a file. `path` is what the user called it, where the error does not say. */
export function fileProblem(error: unknown, path: string): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  switch (error.code) {
    case 'ENOENT': {
      const directory = dirname(path)
      return existsSync(directory) ? `there is no file ${path}` : `there is no directory ${directory}`
    }
    case 'EACCES':
    case 'EPERM':
      return `${path}: this user may not open it (permission denied)`
    case 'EISDIR':
      return `${path} is a directory, not a file`
    case 'EEXIST':
      return `${path} is a file, not a directory`
    case 'ENOTDIR':
      return `${path}: a part of this path is a file, not a directory`
    default:
      return undefined
  }
}

/** The file of this command line that the error is about; undefined when it is about another, which is a mistake of ours and no usage. */
export function namedFile(error: unknown, args: readonly string[]): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const values = args.map(arg => arg.replace(/^--[a-z-]+=/, ''))
  if ('path' in error && typeof error.path === 'string') {
    const path = resolve(error.path)
    return values.find(value => resolve(value) === path)
  }
  // A read of a directory does not say of which.
  if (error.code !== 'EISDIR') return undefined
  return values.find(value => statSync(value, { throwIfNoEntry: false })?.isDirectory() === true)
}
