/**
 * Puts the state of a node together from what its disks hold: the checkpoint, the queue index, the log. When checkpoint and index do not fit each
 * other, or do not fit the log, both are set aside and the state is rebuilt by applying the whole log: slower, and just as good.
 */
import { openQueueIndex, type QueueIndexFiles } from '../storage/queue-index.ts'
import type { Disk } from '../platform/disk.ts'
import { assert } from '../platform/assert.ts'
import { StateMachine } from '../state/machine.ts'
import type { LoadedCheckpoint } from '../state/store.ts'

export interface OpenedState {
  readonly machine: StateMachine
  readonly index: QueueIndexFiles
  /** Sentences for the operator. */
  readonly notes: readonly string[]
}

export interface OpenStateOptions {
  readonly disk: Disk
  readonly directory: string
  readonly loaded: LoadedCheckpoint | undefined
  /** Where the log ends. */
  readonly lastIndex: number
  /** Log bytes of a chunk of the queue index; undefined = the default. */
  readonly chunkLogBytes?: number
}

export function openState(options: OpenStateOptions): OpenedState {
  const { loaded, lastIndex } = options
  if (loaded === undefined) return openEmpty(options, [])
  if (loaded.appliedIndex > lastIndex) {
    return openEmpty(options, [
      `the checkpoint knows entry ${loaded.appliedIndex}, the log ends at ${lastIndex}: the state is rebuilt from the log, the missing entries come from the leader`,
    ])
  }
  const opened = openIndex(options, loaded.appliedIndex)
  if (opened.kind === 'damaged') return openEmpty(options, [`queue index: ${opened.reason}; the state is rebuilt from the log`])
  const machine = new StateMachine({ index: opened.index })
  const problem = machine.restore(loaded)
  if (problem === undefined) return { machine, index: opened.index, notes: [] }
  opened.index.close()
  return openEmpty(options, [`checkpoint ${loaded.number}: ${problem}; the state is rebuilt from the log`])
}

function openEmpty(options: OpenStateOptions, notes: readonly string[]): OpenedState {
  const opened = openIndex(options, 0)
  assert(opened.kind === 'opened', 'empty-queue-index-opens')
  return { machine: new StateMachine({ index: opened.index }), index: opened.index, notes }
}

function openIndex({ disk, directory, chunkLogBytes }: OpenStateOptions, appliedIndex: number): ReturnType<typeof openQueueIndex> {
  const limits = chunkLogBytes === undefined ? {} : { limits: { chunkLogBytes } }
  return openQueueIndex(disk, directory, { appliedIndex, ...limits })
}
