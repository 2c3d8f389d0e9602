/** How checkers read a node's log: damage that they meet is the node's to find and to mend, and no finding of theirs. */
import { logIndex, UnreadableEntry, type LogStorage, type StoredEntry } from '../../raft/index.ts'

/** undefined when its disk can't give it now. The node has heard of the damage by this read, as by any other. */
export function readEntry(log: LogStorage, index: number): StoredEntry | undefined {
  try {
    return log.entry(logIndex(index))
  } catch (error) {
    if (error instanceof UnreadableEntry) return undefined
    throw error
  }
}

/** The entry of this place in another log, as `other` has it; undefined when it has deleted it, has another one there, or can't read it either. */
export function sameEntryIn(other: LogStorage, log: LogStorage, index: number): StoredEntry | undefined {
  if (index < other.firstIndex || termOf(other, index) !== termOf(log, index)) return undefined
  return readEntry(other, index)
}

/** From memory; undefined outside of the log. Of what retention has deleted last, too, where the log still knows it. */
export function termOf({ termRuns, lastId }: LogStorage, index: number): number | undefined {
  return index > lastId.index ? undefined : termRuns.findLast(run => run.firstIndex <= index)?.term
}
