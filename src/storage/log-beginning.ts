/**
 * Where the log begins, and what is remembered of what lay before: whole segments are given up, oldest first, and the last config entry among them is kept
 * outside the log (log-base.ts), for whoever reads the log alone must know who the members are. Nothing that is not on disk is given up, and nothing
 * whose config entry can't be read, unless the applied state tells what stood there.
 */
import { mustExist } from '../platform/assert.ts'
import type { Holes } from './holes.ts'
import type { BaseMembership } from './log-base.ts'
import { firstIndexOf, readableBody } from './log-look.ts'
import type { HeldLog } from './log-look.ts'
import type { LogWriter } from './log-writer.ts'
import type { Segment } from './segment.ts'
import type { SegmentFiles } from './segment-files.ts'
import { dropRuns } from './term-runs.ts'

export interface LogBeginningParts {
  readonly held: HeldLog
  readonly files: SegmentFiles
  readonly writer: LogWriter
  readonly holes: Holes
}

export class LogBeginning {
  readonly #parts: LogBeginningParts
  #membership: BaseMembership | undefined
  /** The newest that was applied: it stands in the log, or did. */
  #applied: BaseMembership | undefined

  constructor(parts: LogBeginningParts, membership: BaseMembership | undefined) {
    this.#parts = parts
    this.#membership = membership
  }

  /** Of the last config entry that was trimmed away. */
  get membership(): BaseMembership | undefined {
    return this.#membership
  }

  /** The log is read anew: what it says now counts, else what was known. */
  adopt(found: BaseMembership | undefined): void {
    this.#membership = found ?? this.#membership
  }

  /** The applied state remembers a membership: the next trim puts it on record if its entry is gone, or has rotted when it goes. */
  know({ index, body }: BaseMembership): void {
    if (index <= (this.#applied?.index ?? 0)) return
    this.#applied = { index, body: body.slice() }
    if (index < firstIndexOf(this.#parts.held) && index > (this.#membership?.index ?? 0)) this.#membership = this.#applied
  }

  /** Gives up the whole segments below `index`; memory forgets them now, the files go later. */
  trimTo(index: number, writtenIndex: number): void {
    const { held, files, writer, holes } = this.#parts
    const { segments } = held
    const count = segments.findIndex((segment, i) => !mayGo(segment, segments[i + 1], index, writtenIndex))
    if (count <= 0) return
    const base = mustExist(segments[count], 'segment-kept').prev
    const config = segments
      .slice(0, count)
      .findLast(({ configs }) => configs.length > 0)
      ?.configs.at(-1)
    if (config !== undefined) {
      const body = readableBody(held, config) ?? (this.#applied?.index === config ? this.#applied.body : undefined)
      // It has rotted, and a later one is in force: it stays until it is mended, or goes together with that one.
      if (body === undefined) return
      this.#membership = { index: config, body }
    }
    const gone = segments.splice(0, count)
    for (const segment of gone) files.close(segment)
    dropRuns(held.runs, base.index)
    held.tail.dropBelow(base.index + 1)
    held.blocks.dropBelow(base.index + 1)
    holes.dropBelow(base.index + 1)
    writer.removeLater(gone, { link: base, membership: this.#membership })
  }
}

/** A whole segment below `index`, on disk to its end, with its successor beside it. */
function mayGo(segment: Segment, next: Segment | undefined, index: number, writtenIndex: number): boolean {
  return next?.isOnDisk === true && segment.lastIndex < index && next.prev.index <= writtenIndex
}
