/**
 * What a start makes of the queue index's directory, decided against the applied index of the checkpoint that is there:
 *
 *   found                                                        | made of it
 *   -------------------------------------------------------------|------------------------------------------------------------
 *   checkpoint at 0 (none)                                       | everything is removed, apply writes it anew
 *   a `.new` file                                                | removed: its chunk is still there as an open one
 *   an open file whose chunk is sealed too                       | removed: sealing had finished
 *   an open file without a whole header, or behind the checkpoint| removed: nothing in it was ever relied on
 *   blocks behind the checkpoint, or a torn one                  | cut off: their entries are applied again
 *   chunks that do not follow one another, a sealed one that is  | damaged: the checkpoint can't be used, the caller starts
 *   rotten or goes beyond the checkpoint, or blocks missing up   | again with no checkpoint and applied index 0
 *   to the checkpoint                                            |
 *
 * Must never: repair by guessing, or remove anything before the whole directory has been judged.
 */
import type { Disk } from '../platform/disk.ts'
import { readOpenChunk } from './open-chunk.ts'
import type { OpenChunkContent } from './open-chunk.ts'
import { readSealedHead } from './sealed-chunk.ts'
import type { SealedChunk } from './sealed-chunk.ts'
import { IndexRot } from './storage-error.ts'

interface UsableIndex {
  readonly kind: 'usable'
  readonly sealed: readonly SealedChunk[]
  /** At most two: one to be sealed, one to go on with. */
  readonly open: readonly OpenChunkContent[]
  /** Files that nothing is lost with. */
  readonly useless: readonly string[]
}

export type IndexFound = UsableIndex | { readonly kind: 'damaged'; readonly reason: string }

/** Judges the directory and removes what is of no use. Changes nothing when it finds damage. */
export function recoverQueueIndex(disk: Disk, directory: string, appliedIndex: number): IndexFound {
  const found = judgeQueueIndex(disk, directory, appliedIndex)
  if (found.kind === 'usable') removeAll(disk, directory, found.useless)
  return found
}

/** Behind which entry it begins: what is before is in no chunk any more. */
export function beginsAfter({ sealed, open }: Pick<UsableIndex, 'sealed' | 'open'>): number {
  return (sealed[0] ?? open[0])?.afterIndex ?? 0
}

/** What `recoverQueueIndex` would find. Changes nothing. */
export function judgeQueueIndex(disk: Disk, directory: string, appliedIndex: number): IndexFound {
  const names = disk.list(directory).filter(name => /^\d{12}\.(open|sealed|sealed\.new)$/.test(name))
  if (appliedIndex === 0) return { kind: 'usable', sealed: [], open: [], useless: names }
  const useless = names.filter(name => name.endsWith('.new'))
  const sealed: SealedChunk[] = []
  const open: OpenChunkContent[] = []
  try {
    for (const name of names) if (name.endsWith('.sealed')) sealed.push(readSealedHead(disk, `${directory}/${name}`))
  } catch (error) {
    if (error instanceof IndexRot) return { kind: 'damaged', reason: error.message }
    throw error
  }
  const sealedNumbers = new Set(sealed.map(chunk => chunk.chunk))
  for (const name of names) {
    if (!name.endsWith('.open')) continue
    const isSealedToo = sealedNumbers.has(Number(name.slice(0, 12)))
    const content = isSealedToo ? undefined : readOpenChunk(disk, `${directory}/${name}`, appliedIndex)
    if (content === undefined || content.afterIndex > appliedIndex || content.blocks.length === 0) useless.push(name)
    else open.push(content)
  }
  const reason = problemOf(sealed, open, appliedIndex)
  if (reason !== undefined) return { kind: 'damaged', reason: `queue index ${directory}: ${reason}` }
  return { kind: 'usable', sealed, open, useless }
}

function problemOf(sealed: readonly SealedChunk[], open: readonly OpenChunkContent[], appliedIndex: number): string | undefined {
  if (open.length > 2) return `${open.length} open chunks, at most two can be`
  let previous: { chunk: number; through: number } | undefined
  for (const { chunk, afterIndex, mark } of [...sealed, ...open]) {
    if (previous !== undefined && (chunk !== previous.chunk + 1 || afterIndex !== previous.through))
      return `chunk ${chunk} begins after entry ${afterIndex}, the one before it (${previous.chunk}) ends with ${previous.through}`
    previous = { chunk, through: mark.throughIndex }
  }
  const through = previous?.through ?? 0
  return through === appliedIndex ? undefined : `it reaches entry ${through}, the checkpoint says ${appliedIndex}`
}

function removeAll(disk: Disk, directory: string, names: readonly string[]): void {
  for (const name of names) disk.remove(`${directory}/${name}`)
  if (names.length > 0) disk.syncDirectory(directory)
}
