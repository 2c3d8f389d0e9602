/**
 * Puts the state of a node together from what its disks hold: the checkpoint, the queue index, the log. When checkpoint and index do not fit each
 * other, or do not fit the log, both are set aside and the state is rebuilt by applying the whole log: slower, and just as good. Where the beginning of the
 * log was deleted that can't be: the state is lost, and comes from another node (state-rescue.ts).
 */
import { openQueueIndex, type QueueIndexFiles } from '../storage/queue-index.ts'
import type { Disk } from '../platform/disk.ts'
import { assert } from '../platform/assert.ts'
import { StateMachine } from '../state/machine.ts'
import type { LoadedCheckpoint } from '../state/store.ts'
import { StorageError, type IndexRot } from '../storage/storage-error.ts'

export interface OpenedState {
  readonly machine: StateMachine
  readonly index: QueueIndexFiles
  /** The log can't give the state again: the machine is empty, and nothing may be applied to it. */
  readonly isLost: boolean
  /** Sentences for the operator. */
  readonly notes: readonly string[]
}

export interface OpenStateOptions {
  readonly disk: Disk
  readonly directory: string
  readonly loaded: LoadedCheckpoint | undefined
  /** Why there is none, where that is worth a sentence. */
  readonly whyNotLoaded?: string | undefined
  /** Where the log begins and ends. */
  readonly firstIndex: number
  readonly lastIndex: number
  /** Log bytes of a chunk of the queue index; undefined = the default. */
  readonly chunkLogBytes?: number
  /** The highest feature level that this node goes along with; undefined = the newest. */
  readonly levelMax?: number
  /** Whether there are nodes that may have the state. Only asked when it is lost here. */
  readonly hasPeers: () => boolean
  /** A piece of the queue index has rotted: it is set aside, and the read throws. */
  readonly rotFound: (error: IndexRot) => void
}

export function openState(options: OpenStateOptions): OpenedState {
  const { loaded, lastIndex, whyNotLoaded } = options
  if (loaded === undefined) return openEmpty(options, whyNotLoaded === undefined ? [] : [`${whyNotLoaded}; it is rebuilt from the log`])
  if (loaded.appliedIndex > lastIndex) {
    return openEmpty(options, [
      `the checkpoint knows entry ${loaded.appliedIndex}, the log ends at ${lastIndex}: the state is rebuilt from the log, the missing entries come from the leader`,
    ])
  }
  const opened = openIndex(options, loaded.appliedIndex)
  if (opened.kind === 'damaged') return openEmpty(options, [`queue index: ${opened.reason}; the state is rebuilt from the log`])
  const machine = newMachine(options, opened.index)
  const problem = machine.restore(loaded)
  const isIndexCut = opened.index.afterIndex >= machine.retention.logFirst
  if (problem === undefined && !isIndexCut) return { machine, index: opened.index, isLost: false, notes: [] }
  opened.index.close()
  const reason = problem ?? `the queue index begins behind entry ${opened.index.afterIndex}, messages from before are still needed`
  return openEmpty(options, [`checkpoint ${loaded.number}: ${reason}; the state is rebuilt from the log`])
}

function openEmpty(options: OpenStateOptions, notes: readonly string[]): OpenedState {
  const isLost = options.firstIndex > 1
  const lost = `${options.directory}: there is no usable state (${notes[0] ?? 'no checkpoint'}), and the log begins with entry ${options.firstIndex}, too late to rebuild it`
  if (isLost && !options.hasPeers()) throw new StorageError(`${lost}; restore the directory from a backup`, options.directory)
  const opened = openIndex(options, 0)
  assert(opened.kind === 'opened', 'empty-queue-index-opens')
  const told = isLost ? [`${lost}; asking the other nodes for it, and taking no part until it is here`] : notes
  return { machine: newMachine(options, opened.index), index: opened.index, isLost, notes: told }
}

function newMachine({ levelMax }: OpenStateOptions, index: QueueIndexFiles): StateMachine {
  return new StateMachine({ index, ...(levelMax === undefined ? {} : { levelMax }) })
}

function openIndex(
  { disk, directory, chunkLogBytes, rotFound }: OpenStateOptions,
  appliedIndex: number,
): ReturnType<typeof openQueueIndex> {
  const limits = chunkLogBytes === undefined ? {} : { limits: { chunkLogBytes } }
  return openQueueIndex(disk, directory, { appliedIndex, rotFound, ...limits })
}
