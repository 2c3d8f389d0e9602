/** Are the logs of stopped nodes the same, byte for byte? Segment files are compared as they are on disk; zeros that were written ahead do not count. */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

const chunkBytes = 1024 * 1024

export interface ReplicaComparison {
  readonly isIdentical: boolean
  /** What differs, as a sentence; empty when nothing does. */
  readonly difference: string
  readonly bytes: number
}

/** Compares the log directories of all nodes with the first one's. */
export function compareReplicas(dataDirectories: readonly string[], skipBytes: number): ReplicaComparison {
  const [first, ...others] = dataDirectories.map(directory => join(directory, 'log'))
  if (first === undefined) return { isIdentical: true, difference: '', bytes: 0 }
  let bytes = 0
  for (const name of segmentNames(first)) bytes += usedBytes(join(first, name))
  for (const other of others) {
    for (const name of new Set([...segmentNames(first), ...segmentNames(other)])) {
      const at = firstDifference(join(first, name), join(other, name), skipBytes)
      if (at !== undefined)
        return { isIdentical: false, difference: `${join(other, name)} differs from ${join(first, name)} at byte ${at}`, bytes }
    }
  }
  return { isIdentical: true, difference: '', bytes }
}

function segmentNames(directory: string): string[] {
  return readdirSync(directory).filter(name => name.endsWith('.log'))
}

/** Where the zeros at the end begin. */
function usedBytes(path: string): number {
  const size = statSync(path).size
  const fd = openSync(path, 'r')
  try {
    const chunk = Buffer.alloc(chunkBytes)
    for (let end = size; end > 0; end -= chunkBytes) {
      const from = Math.max(0, end - chunkBytes)
      const count = readSync(fd, chunk, 0, end - from, from)
      for (let i = count - 1; i >= 0; i--) if (chunk[i] !== 0) return from + i + 1
    }
    return 0
  } finally {
    closeSync(fd)
  }
}

/** The first byte that differs, where a file that has ended counts as zeros; undefined = none. */
function firstDifference(a: string, b: string, skipBytes: number): number | undefined {
  const sizes = [a, b].map(path => statSync(path, { throwIfNoEntry: false })?.size ?? 0)
  const fds = [a, b].map((path, i) => ((sizes[i] ?? 0) > 0 ? openSync(path, 'r') : undefined))
  const chunks = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)] as const
  try {
    for (let at = skipBytes; at < Math.max(...sizes); at += chunkBytes) {
      chunks.forEach((chunk, i) => {
        const fd = fds[i]
        const count = fd === undefined ? 0 : readSync(fd, chunk, 0, chunkBytes, at)
        chunk.fill(0, count)
      })
      if (chunks[0].equals(chunks[1])) continue
      for (let i = 0; i < chunkBytes; i++) if (chunks[0][i] !== chunks[1][i]) return at + i
    }
    return undefined
  } finally {
    for (const fd of fds) if (fd !== undefined) closeSync(fd)
  }
}
