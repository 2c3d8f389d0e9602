/** The saved state that a node starts from: whether its rows are one, and what it says of the group. No queue is looked at, so no queue index is needed. */
import { StateMachine } from '../state/machine.ts'
import type { LoadedCheckpoint, QueueIndex } from '../state/store.ts'
import type { Installed } from '../storage/snapshot/install.ts'
import type { BrokerNodeOptions } from './node-settings.ts'

export type SavedState =
  | { readonly kind: 'whole'; readonly machine: StateMachine }
  /** Its rows are no state, or don't give the digest that it was saved with. A sentence. */
  | { readonly kind: 'damaged'; readonly problem: string }

export function stateIn(checkpoint: LoadedCheckpoint): SavedState {
  const machine = new StateMachine({ index: noIndex })
  const problem = machine.restore(checkpoint)
  return problem === undefined ? { kind: 'whole', machine } : { kind: 'damaged', problem }
}

/** Why these rows are not the state that they were saved as; undefined when they are. */
export function problemOfState(checkpoint: LoadedCheckpoint): string | undefined {
  const found = stateIn(checkpoint)
  return found.kind === 'damaged' ? found.problem : undefined
}

type StartCheckpoint = BrokerNodeOptions['checkpoint']

/** What was found in the store, or what has just been installed in its place. */
export function checkpointAfter({ store, loaded }: StartCheckpoint, installed: Installed | undefined): StartCheckpoint {
  const wasSnapshotRefused = installed !== undefined && installed.checkpoint === undefined
  return { store, loaded: installed?.checkpoint ?? loaded, wasSnapshotRefused }
}

const noIndex: QueueIndex = {
  append: unexpected,
  read: unexpected,
  dropTopic: unexpected,
}

function unexpected(): never {
  throw new Error('the queue index is not asked while a saved state is looked into')
}
