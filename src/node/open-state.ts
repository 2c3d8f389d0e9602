/**
 * Puts the state of a node together from what its disks hold: the checkpoint, the queue index, the log. When checkpoint and index do not fit each
 * other, or do not fit the log, both are set aside and the state is rebuilt by applying the whole log: slower, and just as good. Where the beginning of the
 * log was deleted that can't be: the state is lost, and comes from another node (state-rescue.ts).
 */
import { openQueueIndex, type QueueIndexFiles } from '../storage/queue-index.ts'
import { beginsAfter, judgeQueueIndex } from '../storage/queue-index-recovery.ts'
import type { Disk } from '../platform/disk.ts'
import { assert } from '../platform/assert.ts'
import { StateMachine } from '../state/machine.ts'
import type { LoadedCheckpoint } from '../state/store.ts'
import { StorageError, type IndexRot } from '../storage/storage-error.ts'
import { stateIn } from './saved-state.ts'

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
  const { loaded } = options
  const misfit = misfitOf(options)
  if (loaded === undefined || misfit !== undefined) return openEmpty(options, misfit)
  const opened = openIndex(options, loaded.appliedIndex)
  if (opened.kind === 'damaged') return openEmpty(options, `queue index: ${opened.reason}`)
  const machine = newMachine(options, opened.index)
  const problem = machine.restore(loaded) ?? cutIndex(opened.index.afterIndex, machine)
  if (problem === undefined) return { machine, index: opened.index, isLost: false, notes: [] }
  opened.index.close()
  return openEmpty(options, `checkpoint ${loaded.number}: ${problem}`)
}

/**
 * Why a start would find its state lost: `openState` would not take what is there, and the log can't give it again. A sentence; undefined when it would
 * not. Changes nothing: for who has to know it before anything is done.
 */
export function whyStateIsLost(
  options: Pick<OpenStateOptions, 'disk' | 'directory' | 'loaded' | 'whyNotLoaded' | 'firstIndex' | 'lastIndex'>,
): string | undefined {
  const { disk, directory, loaded, firstIndex } = options
  if (firstIndex === 1) return undefined
  const misfit = misfitOf(options)
  if (loaded === undefined || misfit !== undefined) return lostSentence(options, misfit)
  const index = judgeQueueIndex(disk, directory, loaded.appliedIndex)
  if (index.kind === 'damaged') return lostSentence(options, `queue index: ${index.reason}`)
  const state = stateIn(loaded)
  const problem = state.kind === 'damaged' ? state.problem : cutIndex(beginsAfter(index), state.machine)
  return problem && lostSentence(options, `checkpoint ${loaded.number}: ${problem}`)
}

/** Why the checkpoint is not looked into; undefined also when there is none, and nothing to say about that. */
function misfitOf({
  loaded,
  whyNotLoaded,
  firstIndex,
  lastIndex,
}: Pick<OpenStateOptions, 'loaded' | 'whyNotLoaded' | 'firstIndex' | 'lastIndex'>): string | undefined {
  if (loaded === undefined) return whyNotLoaded
  const { appliedIndex } = loaded
  if (appliedIndex > lastIndex) return `the checkpoint knows entry ${appliedIndex}, the log ends at ${lastIndex}`
  if (appliedIndex < firstIndex - 1) return `the checkpoint ends with entry ${appliedIndex}, the log begins with ${firstIndex}`
  return undefined
}

function cutIndex(afterIndex: number, { retention }: StateMachine): string | undefined {
  if (afterIndex < retention.logFirst) return undefined
  return `the queue index begins behind entry ${afterIndex}, messages from before are still needed`
}

function lostSentence({ directory, firstIndex }: Pick<OpenStateOptions, 'directory' | 'firstIndex'>, why = 'no checkpoint'): string {
  return `${directory}: there is no usable state (${why}), and the log begins with entry ${firstIndex}, too late to rebuild it`
}

function openEmpty(options: OpenStateOptions, why: string | undefined): OpenedState {
  const isLost = options.firstIndex > 1
  const lost = lostSentence(options, why)
  if (isLost && !options.hasPeers()) throw new StorageError(`${lost}; restore the directory from a backup`, options.directory)
  const opened = openIndex(options, 0)
  assert(opened.kind === 'opened', 'empty-queue-index-opens')
  const rebuilt = why === undefined ? [] : [`${why}; the state is rebuilt from the log`]
  const notes = isLost ? [`${lost}; asking the other nodes for it, and taking no part until it is here`] : rebuilt
  return { machine: newMachine(options, opened.index), index: opened.index, isLost, notes }
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
