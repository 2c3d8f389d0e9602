/**
 * Where each message stands in its message group, and how far each consumer group has come. Keys of messages are `topicId/queueId/offset`,
 * of a consumer group's messages `consumerGroupId/topicId/queueId/offset`.
 */
import type { DeliveryRef } from '../../src/state/command.ts'
import type { Hash64 } from '../../src/state/ids.ts'

interface Member {
  /** All messages of the group in that queue, in order of offset. */
  readonly line: string[]
  readonly position: number
}

export class MessageGroupOrder {
  readonly #members = new Map<string, Member>()
  readonly #lines = new Map<string, string[]>()
  readonly #places = new Map<string, string>()
  readonly #done = new Set<string>()
  /** By consumer group and line: everything before this position is done. */
  readonly #frontier = new Map<string, number>()
  /** By queue: retention has given up what is below, but for what some consumer has in hand. */
  readonly #trimmed = new Map<string, number>()
  readonly #isOpen: (key: string) => boolean

  /** `isOpen`: the consumer group has the message and has not finished it. */
  constructor(isOpen: (key: string) => boolean) {
    this.#isOpen = isOpen
  }

  append(topicId: number, queueId: number, offset: number, messageGroup: Hash64 | undefined, logIndex: number, ordinal: number): void {
    const place = `${topicId}/${queueId}/${offset}`
    this.#places.set(`${logIndex}/${ordinal}`, place)
    if (messageGroup === undefined) return
    const name = `${topicId}/${queueId}/${messageGroup.high}/${messageGroup.low}`
    let line = this.#lines.get(name)
    if (line === undefined) {
      line = []
      this.#lines.set(name, line)
    }
    this.#members.set(place, { line, position: line.length })
    line.push(place)
  }

  /** The message stands in another entry too. */
  alias(topicId: number, queueId: number, offset: number, logIndex: number, ordinal: number): void {
    this.#places.set(`${logIndex}/${ordinal}`, `${topicId}/${queueId}/${offset}`)
  }

  trim(topicId: number, queueId: number, offset: number): void {
    const queue = `${topicId}/${queueId}`
    this.#trimmed.set(queue, Math.max(this.#trimmed.get(queue) ?? 0, offset))
  }

  /** Of a message, by the entry that carried it. */
  placeOf(logIndex: number, ordinal: number): string | undefined {
    return this.#places.get(`${logIndex}/${ordinal}`)
  }

  done(key: string): void {
    this.#done.add(key)
  }

  isDone(key: string): boolean {
    return this.#done.has(key) || (this.#trimmed.size > 0 && this.#isTrimmed(key) && !this.#isOpen(key))
  }

  /** The first message before this one in its message group that the consumer group has neither done nor got in the same batch. */
  firstUndoneBefore(key: string, ref: DeliveryRef, logIndex: number, ordinal: number, batch: ReadonlySet<string>): string | undefined {
    const member = this.#members.get(this.placeOf(logIndex, ordinal) ?? '')
    if (member === undefined) return undefined
    const prefix = `${ref.consumerGroupId}/`
    const frontierName = `${prefix}${member.line[0] ?? ''}`
    let frontier = this.#frontier.get(frontierName) ?? 0
    while (frontier < member.position && this.isDone(prefix + (member.line[frontier] ?? ''))) frontier += 1
    this.#frontier.set(frontierName, frontier)
    for (let i = frontier; i < member.position; i += 1) {
      const earlier = prefix + (member.line[i] ?? '')
      if (earlier !== key && !this.isDone(earlier) && !batch.has(earlier)) return earlier
    }
    return undefined
  }

  #isTrimmed(key: string): boolean {
    const [, topicId, queueId, offset] = key.split('/')
    return Number(offset) < (this.#trimmed.get(`${topicId ?? ''}/${queueId ?? ''}`) ?? 0)
  }
}
