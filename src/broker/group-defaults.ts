/** The settings of a group that comes into being by use. */
import type { EnsureGroup, GroupSettings } from '../state/command.ts'
import { defaultMaxAttempts, defaultRetryStepsMs } from '../state/limits.ts'

export function defaultGroupSettings(isFifo: boolean): GroupSettings {
  return { isFifo, maxAttempts: defaultMaxAttempts, retry: { kind: 'customized', stepsMs: defaultRetryStepsMs } }
}

/** A group made by reading one topic is of the topic's kind. */
export function groupByUse(consumerGroup: string, topic: string, isFifo: boolean): EnsureGroup {
  return {
    kind: 'ensureGroup',
    consumerGroup,
    settings: defaultGroupSettings(isFifo),
    start: { kind: 'last' },
    topics: [topic],
    replaceSettings: false,
  }
}
