/** Topics, consumer groups and their settings: ours and raftmq.v1's. */
import { raftmq } from '#proto/raftmq-v1.js'
import { refuse, type Refusal } from '../../broker/refusal.ts'
import type { GroupSummary, TopicSummary } from '../../broker/admin-requests.ts'
import type { ClusterNode } from '../../broker/reports.ts'
import type { GroupSettings, RetryPolicy, StartPosition, TopicType } from '../../state/command.ts'
import { raftDetailOf } from './raft-detail.ts'
import { defaultSettings } from '../../state/groups.ts'

const v1 = raftmq.v1

const attemptsMax = 1_000
const retryStepsMax = 64
const retryMsMax = 24 * 3_600_000
const multiplierMax = 100

export function topicTypeOf(type: raftmq.v1.TopicType): TopicType {
  return type === v1.TopicType.TOPIC_TYPE_FIFO ? 'fifo' : 'normal'
}

export function topicOf(summary: TopicSummary, withQueues: boolean): raftmq.v1.Topic.$Properties {
  const { topic, type, queueCount, queues, retention } = summary
  return {
    name: topic,
    type: type === 'fifo' ? v1.TopicType.TOPIC_TYPE_FIFO : v1.TopicType.TOPIC_TYPE_NORMAL,
    queueCount,
    retentionMs: retention.ageMs,
    retentionBytes: retention.sizeBytes,
    messages: queues.reduce((sum, queue) => sum + queue.nextOffset, 0),
    queues: withQueues ? queues.map(({ firstOffset, nextOffset }, queueId) => ({ queueId, firstOffset, nextOffset })) : [],
  }
}

/** `dead` is undefined where it was not asked for. */
export function groupOf(summary: GroupSummary, withQueues: boolean, dead: number | undefined): raftmq.v1.Group.$Properties {
  const { isFifo, maxAttempts, retry } = summary.settings
  return {
    name: summary.consumerGroup,
    settings: { isFifo, maxAttempts, backoff: backoffOf(retry) },
    topics: summary.topics.map(({ queues, ...place }) => ({
      ...place,
      queues: withQueues ? queues.map(({ cursor, nextOffset }, queueId) => ({ queueId, cursor, nextOffset })) : [],
    })),
    dead: dead ?? 0,
  }
}

function backoffOf(retry: RetryPolicy): raftmq.v1.RetryBackoff.$Properties {
  if (retry.kind === 'customized') return { steps: { stepMs: [...retry.stepsMs] } }
  const { initialMs, maxMs, multiplier } = retry
  return { exponential: { initialMs, maxMs, multiplier } }
}

/** Absent = last. */
export function startOf(start: raftmq.v1.StartPosition.$Properties | null | undefined): StartPosition | Refusal {
  if (start?.first === true) return { kind: 'first' }
  if (start?.wallMs == null || start.wallMs === 0) return { kind: 'last' }
  const { wallMs } = start
  return Number.isSafeInteger(wallMs) ? { kind: 'time', wallMs } : refuse('badRequest', 'the start is a time beyond all calendars')
}

/** undefined = not given: the defaults, or what is there. */
export function settingsOf(settings: raftmq.v1.GroupSettings.$Properties | null | undefined): GroupSettings | Refusal | undefined {
  if (settings == null) return undefined
  const maxAttempts = settings.maxAttempts == null || settings.maxAttempts === 0 ? defaultSettings.maxAttempts : settings.maxAttempts
  if (maxAttempts > attemptsMax) return refuse('badRequest', `at most ${attemptsMax} attempts are allowed`)
  const retry = retryOf(settings.backoff)
  if (retry.kind === 'refused') return retry
  return { isFifo: settings.isFifo ?? false, maxAttempts, retry }
}

function retryOf(backoff: raftmq.v1.RetryBackoff.$Properties | null | undefined): RetryPolicy | Refusal {
  const isPause = (ms: number) => ms >= 0 && ms <= retryMsMax
  if (backoff?.exponential != null) {
    const { initialMs, maxMs, multiplier } = backoff.exponential
    const retry = { kind: 'exponential' as const, initialMs: initialMs ?? 0, maxMs: maxMs ?? 0, multiplier: multiplier ?? 0 }
    const isSound =
      isPause(retry.initialMs) &&
      isPause(retry.maxMs) &&
      retry.maxMs >= retry.initialMs &&
      retry.multiplier >= 1 &&
      retry.multiplier <= multiplierMax
    return isSound ? retry : refuse('badRequest', 'a back-off begins with at least 0 ms, ends with at most a day, and grows by 1 to 100')
  }
  if (backoff?.steps != null) {
    const stepsMs = backoff.steps.stepMs ?? []
    const isSound = stepsMs.length >= 1 && stepsMs.length <= retryStepsMax && stepsMs.every(isPause)
    return isSound ? { kind: 'customized', stepsMs } : refuse('badRequest', `a back-off has 1 to ${retryStepsMax} steps of at most a day`)
  }
  return defaultSettings.retry
}

/** `commitIndex` is the answering node's: how far the leader is known to have come. */
export function nodeOf(node: ClusterNode, commitIndex: number): raftmq.v1.NodeStatus.$Properties {
  const { id, name, clientAddress, peerAddress, isUp, isConnected, report, reportAgeMs } = node
  const known = {
    id,
    name,
    clientAddress: `${clientAddress.host}:${clientAddress.port}`,
    peerAddress: `${peerAddress.host}:${peerAddress.port}`,
    isUp,
    isConnected,
    ageMs: reportAgeMs,
  }
  if (report === undefined) return known
  const { role, term, leader, firstIndex, appliedIndex, commitIndex: committed, durableIndex, lastIndex, uncommittedBytes, sync } = report
  const { incarnation, version, processId, uptimeMs, rssBytes, dataDirectory, logBytes, clients, digest, digestIndex, featureLevelMax } =
    report
  return {
    ...known,
    ...{ role, term, firstIndex, appliedIndex, durableIndex, lastIndex, uncommittedBytes },
    ...{ incarnation, version, processId, uptimeMs, rssBytes, dataDirectory, logBytes, clients, digest, digestIndex, featureLevelMax },
    ...(report.disk === undefined ? {} : { disk: report.disk }),
    ...(report.raft === undefined ? {} : { raft: raftDetailOf(report.raft) }),
    ...(report.recovered === undefined ? {} : { recovered: report.recovered }),
    leader: leader ?? 0,
    commitIndex: committed,
    lag: Math.max(0, commitIndex - appliedIndex),
    loopStallMaxMs: report.loopStallMsMax,
    sync: { p50Ms: sync.p50Ms, p99Ms: sync.p99Ms, syncsPerSecond: sync.perSecond, messagesPerSync: sync.messagesPerSync },
    roleChanges: report.roleChanges.map(({ leader: of, ...change }) => ({ ...change, leader: of ?? 0 })),
  }
}
