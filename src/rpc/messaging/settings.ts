/**
 * The Settings that go back to a client: its own, with the server's values merged in. What each language needs in them, and how it breaks
 * without: protocol reference §4.3. Pure.
 */
import '../../platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import type { GroupSettings, RetryPolicy } from '../../state/command.ts'
import { wireTime } from '../wire/time.ts'
import { bodyBytesMax, receiveMessagesMax } from './validate.ts'

const v2 = apache.rocketmq.v2
type Settings = apache.rocketmq.v2.Settings.$Properties
type WireRetryPolicy = apache.rocketmq.v2.RetryPolicy.$Properties

/** Whole seconds: Python reads nothing else. */
const longPollingSeconds = 20

/** Of every producer, whose own number of attempts wins in most languages. */
const producerPolicy: WireRetryPolicy = {
  maxAttempts: 3,
  exponentialBackoff: { initial: wireTime(10), max: wireTime(1_000), multiplier: 2 },
}

/** Is the client itself Node's? Its user agent says so also where its header says HTTP. */
export function isNodeAgent(settings: Settings): boolean {
  return settings.userAgent?.language === v2.Language.NODE_JS
}

export function producerSettings(own: Settings): Settings {
  return {
    ...own,
    backoffPolicy: producerPolicy,
    publishing: { ...own.publishing, maxBodySize: bodyBytesMax, validateMessageType: true },
    metric: { on: false },
  }
}

export function consumerSettings(own: Settings, group: GroupSettings, isNodeClient: boolean): Settings {
  return {
    ...own,
    backoffPolicy: consumerPolicy(group, isNodeClient),
    subscription: {
      ...own.subscription,
      fifo: group.isFifo,
      receiveBatchSize: receiveMessagesMax,
      longPollingTimeout: { seconds: longPollingSeconds, nanos: 0 },
    },
    metric: { on: false },
  }
}

/**
 * Node knows no customized policy: with one it nacks at once and counts one attempt. It gets an exponential one that begins and ends as the
 * steps do, in whole seconds, since it reads nothing else.
 */
function consumerPolicy(group: GroupSettings, isNodeClient: boolean): WireRetryPolicy {
  const { maxAttempts } = group
  const retry = isNodeClient ? forNode(group.retry) : group.retry
  if (retry.kind === 'exponential') {
    return {
      maxAttempts,
      exponentialBackoff: { initial: wireTime(retry.initialMs), max: wireTime(retry.maxMs), multiplier: retry.multiplier },
    }
  }
  // An empty list makes Java, C# and Rust fall over.
  const steps = retry.stepsMs.length === 0 ? [1_000] : retry.stepsMs
  return { maxAttempts, customizedBackoff: { next: steps.map(ms => wireTime(ms)) } }
}

function forNode(retry: RetryPolicy): RetryPolicy {
  const initialMs = wholeSeconds(retry.kind === 'exponential' ? retry.initialMs : (retry.stepsMs[0] ?? 1_000))
  const maxMs = wholeSeconds(retry.kind === 'exponential' ? retry.maxMs : (retry.stepsMs.at(-1) ?? 1_000))
  return {
    kind: 'exponential',
    initialMs,
    maxMs: Math.max(initialMs, maxMs),
    multiplier: retry.kind === 'exponential' ? retry.multiplier : 2,
  }
}

function wholeSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000)) * 1_000
}
