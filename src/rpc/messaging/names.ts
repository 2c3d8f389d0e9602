/** What topics and consumer groups may be called (semantics reference §1.1). Only what the name itself proves: whether there is such a thing is state. */
import { refuse, type Refusal } from '../../broker/refusal.ts'
import { isBlank } from '../wire/text.ts'

const alphabet = /^[%|a-zA-Z0-9_-]+$/
const topicCharsMax = 127
/** Retry and dead letter topics are named after a group, and may be longer. */
const derivedTopicCharsMax = 255
const groupCharsMax = 120
const derivedTopicPrefixes = ['%RETRY%', '%DLQ%']
const systemTopicPrefix = 'rmq_sys_'
const systemGroupPrefix = 'CID_RMQ_SYS_'
const systemTopics: ReadonlySet<string> = new Set([
  'TBW102',
  'SCHEDULE_TOPIC_XXXX',
  'BenchmarkTest',
  'RMQ_SYS_TRANS_HALF_TOPIC',
  'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  'RMQ_SYS_TRACE_TOPIC',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
  'CHECKPOINT_TOPIC',
])

export function checkTopic(name: string): Refusal | undefined {
  if (isBlank(name)) return refuse('illegalTopic', 'the topic is blank')
  const charsMax = derivedTopicPrefixes.some(prefix => name.startsWith(prefix)) ? derivedTopicCharsMax : topicCharsMax
  if (name.length > charsMax)
    return refuse('illegalTopic', `the topic's name has ${name.length} characters, at most ${charsMax} are allowed`)
  if (!alphabet.test(name)) return refuse('illegalTopic', 'a topic is named with letters, digits, %, |, _ and - only')
  if (systemTopics.has(name) || name.startsWith(systemTopicPrefix)) return refuse('illegalTopic', `${name} is a system topic`)
  return undefined
}

export function checkGroup(name: string): Refusal | undefined {
  if (isBlank(name)) return refuse('illegalConsumerGroup', 'the consumer group is blank')
  if (name.length > groupCharsMax) {
    return refuse('illegalConsumerGroup', `the consumer group's name has ${name.length} characters, at most ${groupCharsMax} are allowed`)
  }
  if (!alphabet.test(name)) return refuse('illegalConsumerGroup', 'a consumer group is named with letters, digits, %, |, _ and - only')
  if (name.startsWith(systemGroupPrefix)) return refuse('illegalConsumerGroup', `${name} is a system consumer group`)
  return undefined
}
