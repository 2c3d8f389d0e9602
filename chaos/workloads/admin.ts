/** What an operator does before the clients come: creates the topics and the consumer groups, and does not give up. */
import type { Refusal } from '../../src/broker/refusal.ts'
import type { GroupEnsuredAnswer, TopicCreatedAnswer } from '../../src/broker/admin-requests.ts'
import type { SimRandom } from '../sim/random.ts'
import type { ClientWorld } from './client-world.ts'
import { call, type ServerSide } from './rpc.ts'

const timeoutMs = 3_000
/** Of all consumer groups, between two attempts. */
export const retryPauses = { initialMs: 200, maxMs: 1_000, multiplier: 2 }

type Answer = TopicCreatedAnswer | GroupEnsuredAnswer | Refusal
type Step = (side: ServerSide<Answer>) => void

/** Runs `ready` when everything is there. */
export function prepare(world: ClientWorld, ready: () => void): void {
  const random = world.stream('admin')
  const steps = [...world.configuration.topics.map(topicStep), ...world.configuration.consumerGroups.map(groupStep)]
  const next = (at: number): void => {
    const step = steps[at]
    if (step === undefined) return ready()
    attempt(world, random, step, () => next(at + 1))
  }
  next(0)
}

function attempt(world: ClientWorld, random: SimRandom, step: Step, done: () => void): void {
  call<Answer>(world.scheduler, random, random.pick(world.accessPoint()), timeoutMs, step, outcome => {
    if (outcome.kind === 'answer' && outcome.answer.kind !== 'refused') return done()
    world.scheduler.schedule(100, () => attempt(world, random, step, done))
  })
}

function topicStep(topic: ClientWorld['configuration']['topics'][number]): Step {
  return side => {
    const request = { clientId: undefined, deadlineMs: side.deadlineMs, topic: topic.name, type: topic.type, queueCount: topic.queueCount }
    side.broker.createTopic(request, answer => side.reply(answer))
  }
}

function groupStep(group: ClientWorld['configuration']['consumerGroups'][number]): Step {
  return side => {
    const request = {
      clientId: undefined,
      deadlineMs: side.deadlineMs,
      consumerGroup: group.name,
      settings: {
        isFifo: group.isFifo,
        maxAttempts: group.maxAttempts,
        retry: { kind: 'exponential', ...retryPauses },
      },
      start: { kind: 'first' },
      topics: group.topics,
      replaceSettings: false,
    } as const
    side.broker.ensureGroup(request, answer => side.reply(answer))
  }
}
