/** The dead letters of the reference replica, as news: which messages have come to a group's dead-letter topic since the last look. */
import type { QueueId, QueueOffset } from '../src/state/ids.ts'
import type { DeadLetterView } from './checkers/deliveries.ts'
import type { ReferenceReplica } from './reference.ts'

const none = [] as const

export class DeadLetters implements DeadLetterView {
  readonly #reference: ReferenceReplica
  readonly #seen = new Map<string, number>()
  /** By consumer group. */
  readonly #topicNames = new Map<string, string>()

  constructor(reference: ReferenceReplica) {
    this.#reference = reference
  }

  newDeadLetters(consumerGroup: string): readonly { readonly logIndex: number; readonly ordinal: number }[] {
    let name = this.#topicNames.get(consumerGroup)
    if (name === undefined) this.#topicNames.set(consumerGroup, (name = `%DLQ%${consumerGroup}`))
    const topic = this.#reference.machine.topic(name)
    if (topic === undefined) return none
    const { index } = this.#reference
    const news: { readonly logIndex: number; readonly ordinal: number }[] = []
    const queue = 0 as QueueId
    const end = index.length(topic.topicId, queue)
    const seen = this.#seen.get(consumerGroup) ?? 0
    if (seen === end) return none
    for (let offset = seen; offset < end; offset += 1) {
      const { logIndex, ordinal } = index.read(topic.topicId, queue, offset as QueueOffset)
      news.push({ logIndex, ordinal })
    }
    this.#seen.set(consumerGroup, end)
    return news
  }
}
