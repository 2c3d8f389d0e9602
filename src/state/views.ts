/** What gateways, the command line and auditors may see of the state. Read-only and cheap unless said otherwise; everything handed out is a copy. */
import type { GroupSettings, Retention, TopicType, StartPosition, DeliveryRef } from './command.ts'
import { isUnfinished } from './carried.ts'
import { findClient } from './clients.ts'
import { hasWork, isFull, type Place } from './cursors.ts'
import { nextDueMs } from './deadlines.ts'
import type { ConsumerGroupId, Hash64, QueueId, TopicId } from './ids.ts'
import { findBatch, findRow, hasFlag, isOutstanding, RowField, RowFlag, RowState, stateOf } from './in-flight.ts'
import { isUp } from './nodes.ts'
import { deliveryOf } from './pop.ts'
import { toWallMs } from './registers.ts'
import type { Delivery } from './result.ts'
import { RetentionView } from './retention-view.ts'
import type { State } from './state.ts'
import { deadLetterPrefix, type Topic } from './topics.ts'

export interface TopicView {
  readonly topicId: TopicId
  readonly name: string
  readonly type: TopicType
  readonly queueCount: number
  readonly createdAtMs: number
  /** Messages ever appended to all its queues. */
  readonly appended: number
  /** 0 = as the nodes are configured. */
  readonly retention: Retention
}

export interface GroupView {
  readonly consumerGroupId: ConsumerGroupId
  readonly name: string
  readonly settings: GroupSettings
  readonly start: StartPosition
  readonly createdAtMs: number
  /** Topics that it has a place in, by id. */
  readonly topics: readonly string[]
}

/** Where the messages of a topic are for a group: every appended one is counted exactly once. */
export interface PlaceView {
  readonly consumerGroup: string
  readonly topic: string
  readonly appended: number
  /** Below the group's start. */
  readonly before: number
  /** Not yet visited. */
  readonly waiting: number
  readonly inFlight: number
  /** Visible again, not yet delivered again. */
  readonly retrying: number
  /** Behind a FIFO lock. */
  readonly blocked: number
  readonly acked: number
  readonly filtered: number
  readonly dead: number
  /** Given up by retention before the group was done with them. */
  readonly trimmed: number
  readonly queues: readonly { readonly queueId: QueueId; readonly nextOffset: number; readonly cursor: number; readonly start: number }[]
}

export interface DeliveryView extends Delivery {
  readonly consumerGroup: string
  readonly topic: string
  readonly client: Hash64
  readonly gateway: number
  readonly isConfirmed: boolean
  readonly autoRenew: boolean
  /** Calendar time, as far as can be foreseen. */
  readonly deadlineMs: number
}

/** What became deliverable since the last look. */
export type Wake =
  /** New messages. `arrivals` tells whose turn it is (rule 15). */
  | { readonly kind: 'topic'; readonly topic: string }
  /** Messages visible again, a FIFO lock released, or room again in a group that was full. */
  | { readonly kind: 'place'; readonly consumerGroup: string; readonly topic: string }

const noWakes: readonly Wake[] = []

export class StateViews {
  readonly #state: State
  /** What retention decides by. */
  readonly retention: RetentionView

  constructor(state: State) {
    this.#state = state
    this.retention = new RetentionView(state)
  }

  /** What the group has agreed on (feature-level.ts). */
  get featureLevel(): number {
    return this.#state.registers.row.featureLevel
  }

  /** There has never been a topic. */
  get isNewGroup(): boolean {
    return this.#state.registers.row.nextTopicId === 1
  }

  /** Cluster time of the last entry. */
  get wallMs(): number {
    return this.#state.registers.row.wallMs
  }

  /** Cluster time at which something is due; undefined = nothing is. Not after `wallMs` when a bound holds back what is due: then tick at once. */
  get nextDeadlineMs(): number | undefined {
    const due = nextDueMs(this.#state)
    return due === Infinity ? undefined : toWallMs(this.#state.registers, due)
  }

  topic(name: string): TopicView | undefined {
    const topic = this.#state.topics.byName.get(name)
    return topic === undefined ? undefined : topicView(topic)
  }

  /** By name. */
  topics(): TopicView[] {
    return [...this.#state.topics.byName.values()].map(topicView).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** A topic's queues, by number; none when it is gone. What is below `firstOffset` was given up by retention. */
  queues(topicId: TopicId): { readonly firstOffset: number; readonly nextOffset: number }[] {
    const topic = this.#state.topics.byId.get(topicId)
    if (topic === undefined || topic.isDeleted) return []
    return topic.queues.map(queue => ({ firstOffset: queue.first, nextOffset: queue.next }))
  }

  /** Messages ever appended to the topic; grows only, and is the same on every node at the same applied index. */
  arrivals(topicId: TopicId): number {
    return this.#state.topics.byId.get(topicId)?.appended ?? 0
  }

  /** Also of a topic that was deleted a moment ago. */
  topicName(topicId: TopicId): string | undefined {
    return this.#state.topics.byId.get(topicId)?.name
  }

  group(name: string): GroupView | undefined {
    const group = this.#state.groups.byName.get(name)
    if (group === undefined) return undefined
    const { id, isFifo, maxAttempts, retry, start, createdAtMs } = group
    const topics = [...group.places.values()]
      .filter(place => !place.topic.isDeleted)
      .sort((a, b) => a.topic.id - b.topic.id)
      .map(place => place.topic.name)
    return { consumerGroupId: id, name, settings: { isFifo, maxAttempts, retry }, start, createdAtMs, topics }
  }

  /** By name. */
  groups(): GroupView[] {
    const names = [...this.#state.groups.byName.keys()].sort()
    return names.flatMap(name => this.group(name) ?? [])
  }

  groupName(consumerGroupId: ConsumerGroupId): string | undefined {
    return this.#state.groups.byId.get(consumerGroupId)?.name
  }

  /** Undefined when the group has no place in the topic. Walks the topic's queues. */
  place(consumerGroup: string, topicName: string): PlaceView | undefined {
    const place = this.#findPlace(consumerGroup, topicName)
    return place === undefined ? undefined : placeView(place)
  }

  /** The group in every topic that it has a place in, by topic id. Walks their queues. */
  places(consumerGroup: string): PlaceView[] {
    const places = [...(this.#state.groups.byName.get(consumerGroup)?.places.values() ?? [])]
    return places
      .filter(place => !place.topic.isDeleted)
      .sort((a, b) => a.topic.id - b.topic.id)
      .map(placeView)
  }

  hasPlace(consumerGroup: string, topicName: string): boolean {
    return this.#findPlace(consumerGroup, topicName) !== undefined
  }

  /** Whether a pop is worth proposing: something to look at, or a group or place to be made (rules 15 and 20). False for an unknown topic. */
  mayDeliver(consumerGroup: string, topicName: string): boolean {
    const topic = this.#state.topics.byName.get(topicName)
    if (topic === undefined) return false
    const place = this.#state.groups.byName.get(consumerGroup)?.places.get(topic.id)
    if (place === undefined || hasWork(this.#state, place)) return true
    // Only its bound keeps the group from what waits here: who asks is woken when there is room. No state, as all wakes.
    if (place.visited < topic.appended && isFull(this.#state, place.group)) this.#state.wakes.starved.add(place)
    return false
  }

  /** Whether this receive was served before and its messages are still unanswered: a pop with its attempt id brings them again (rule 14). */
  hasBatch(consumerGroup: string, topicName: string, client: Hash64, attempt: Hash64): boolean {
    const place = this.#findPlace(consumerGroup, topicName)
    return place !== undefined && findBatch(this.#state.inFlight, place.group.id, place.topic.id, client, attempt).length > 0
  }

  /** Whether the group's bound on unfinished messages holds its pops back. */
  isFull(consumerGroup: string): boolean {
    const group = this.#state.groups.byName.get(consumerGroup)
    return group !== undefined && isFull(this.#state, group)
  }

  /** A node that nobody said anything of counts as up. */
  isNodeUp(node: number): boolean {
    return isUp(this.#state, node)
  }

  /** What this client was given and has not answered, oldest first, at most `countMax`. Reads the queue index. */
  deliveriesOf(client: Hash64, countMax = 1024): DeliveryView[] {
    const { rows } = this.#state.inFlight
    const found: DeliveryView[] = []
    let row = findClient(this.#state, client)?.rows.head ?? 0
    while (row !== 0 && found.length < countMax) {
      found.push(this.#deliveryView(row))
      row = rows.get(row, RowField.clientLinks + 1)
    }
    return found
  }

  /** The delivery that a handle names, if it is still under way. */
  delivery(ref: DeliveryRef): DeliveryView | undefined {
    const { rows } = this.#state.inFlight
    const row = findRow(this.#state.inFlight, ref.consumerGroupId, ref.topicId, ref.queueId, ref.offset)
    if (row === 0 || !isOutstanding(rows, row) || rows.getU64(row, RowField.sequence) !== ref.deliverySequence) return undefined
    return this.#deliveryView(row)
  }

  /** How a client stands: nodes it is connected to, when it is gone (undefined while it is connected). */
  client(client: Hash64): { readonly nodes: readonly number[]; readonly goneAtMs: number | undefined } | undefined {
    const found = findClient(this.#state, client)
    if (found === undefined) return undefined
    const goneAtMs = found.goneAtMs === Infinity ? undefined : toWallMs(this.#state.registers, found.goneAtMs)
    return { nodes: found.nodes, goneAtMs }
  }

  /** The session of a gateway: what was last taken from it. */
  session(node: number): { readonly incarnation: number; readonly sequence: number; readonly isOver: boolean } | undefined {
    const found = this.#state.nodes.byNumber.get(node)
    return found === undefined ? undefined : { incarnation: found.incarnation, sequence: found.sequence, isOver: found.isRetired }
  }

  /** What became deliverable since the last call. */
  takeWakes(): readonly Wake[] {
    const { topics, places } = this.#state.wakes
    if (topics.size === 0 && places.size === 0) return noWakes
    const wakes: Wake[] = []
    for (const topic of topics) wakes.push({ kind: 'topic', topic: topic.name })
    for (const place of places) {
      if (!place.topic.isDeleted) wakes.push({ kind: 'place', consumerGroup: place.group.name, topic: place.topic.name })
    }
    topics.clear()
    places.clear()
    return wakes
  }

  /** Sizes, for status and metrics. */
  sizes(): { topics: number; groups: number; places: number; rows: number; dedupe: number; clients: number; idCollisions: number } {
    const { topics, groups, places, inFlight, dedupe, clients, registers } = this.#state
    return {
      topics: topics.byName.size,
      groups: groups.byName.size,
      places: places.table.count,
      rows: inFlight.rows.count,
      dedupe: dedupe.rows.count,
      clients: clients.table.count,
      idCollisions: registers.row.idCollisions,
    }
  }

  /**
   * Every place that breaks the law that a message is in one state exactly, and every number that is kept beside the rows and is not what they give, as
   * sentences; for auditors. Counts the rows themselves.
   */
  conservation(): string[] {
    const problems: string[] = this.#checkNumbers()
    for (const group of this.#state.groups.byName.values()) {
      for (const place of group.places.values()) if (!place.topic.isDeleted) problems.push(...this.#checkPlace(place))
      const rows = [...group.places.values()].reduce((sum, place) => sum + this.#rowsOf(place), 0)
      if (rows !== group.rowCount) problems.push(`${group.name}: it has ${rows} rows, ${group.rowCount} were counted`)
    }
    return problems
  }

  /** No digest has these: a restore makes them anew, so a wrong one parts the replicas when it is next decided by. */
  #checkNumbers(): string[] {
    const { topics, nodes, carried } = this.#state
    const problems: string[] = []
    let deadLetterCount = 0
    let carriedCount = 0
    for (const { name, isDeleted, appended, queues } of topics.byId.values()) {
      if (name.startsWith(deadLetterPrefix)) deadLetterCount++
      let inQueues = 0
      for (const queue of queues) {
        inQueues += queue.next
        carriedCount += queue.carried.size
        for (const { offset } of queue.carried.values()) {
          if (isDeleted || (offset < queue.first && !isUnfinished(this.#state, queue, offset)))
            problems.push(`${name}: nobody needs ${offset}, and it is carried`)
        }
      }
      if (inQueues !== appended) problems.push(`${name}: its queues have ${inQueues} messages, ${appended} were counted`)
    }
    if (deadLetterCount !== topics.deadLetterCount)
      problems.push(`${deadLetterCount} topics are for dead letters, ${topics.deadLetterCount} were counted`)
    if (carriedCount !== carried.count) problems.push(`queues have ${carriedCount} carried messages, the table has ${carried.count}`)
    const drainingCount = nodes.all.filter(({ drainBelow }) => drainBelow !== 0).length
    if (drainingCount !== nodes.drainingCount)
      problems.push(`${drainingCount} gateways are being drained, ${nodes.drainingCount} were counted`)
    return problems
  }

  #rowsOf({ cursors }: Place): number {
    const { rows } = this.#state.inFlight
    let count = 0
    for (const cursor of cursors) for (let row = cursor.rows.head; row !== 0; row = rows.get(row, RowField.queueLinks + 1)) count++
    return count
  }

  #checkPlace(place: Place): string[] {
    const { rows } = this.#state.inFlight
    const counted = { outstanding: 0, ready: 0, blocked: 0 }
    const problems: string[] = []
    const name = `${place.group.name} in ${place.topic.name}`
    for (const cursor of place.cursors) {
      let before = cursor.start - 1
      for (let row = cursor.rows.head; row !== 0; row = rows.get(row, RowField.queueLinks + 1)) {
        const offset = rows.getU64(row, RowField.offset)
        if (offset <= before || offset >= cursor.offset)
          problems.push(`${name}: queue ${cursor.queueId} has a row at ${offset} out of order`)
        before = offset
        if (isOutstanding(rows, row)) counted.outstanding++
        else if (stateOf(rows, row) === RowState.ready) counted.ready++
        else counted.blocked++
      }
    }
    const view = placeView(place)
    if (counted.outstanding !== view.inFlight)
      problems.push(`${name}: ${counted.outstanding} rows are in flight, ${view.inFlight} were counted`)
    if (counted.ready !== view.retrying) problems.push(`${name}: ${counted.ready} rows are visible again, ${view.retrying} were counted`)
    if (counted.blocked !== view.blocked) problems.push(`${name}: ${counted.blocked} rows are blocked, ${view.blocked} were counted`)
    if (!place.group.isFifo && counted.blocked > 0) problems.push(`${name}: rows are blocked though the group is not FIFO`)
    const sum =
      view.before + view.waiting + view.inFlight + view.retrying + view.blocked + view.acked + view.filtered + view.dead + view.trimmed
    if (sum !== view.appended) problems.push(`${name}: ${view.appended} messages were appended, ${sum} are accounted for`)
    return problems
  }

  #findPlace(consumerGroup: string, topicName: string): Place | undefined {
    const topic = this.#state.topics.byName.get(topicName)
    return topic === undefined ? undefined : this.#state.groups.byName.get(consumerGroup)?.places.get(topic.id)
  }

  #deliveryView(row: number): DeliveryView {
    const { rows } = this.#state.inFlight
    const place = this.#state.places.slots[rows.get(row, RowField.place)] as Place
    return {
      ...deliveryOf(this.#state, place, row),
      consumerGroup: place.group.name,
      topic: place.topic.name,
      client: { low: rows.getU32(row, RowField.clientLow), high: rows.getU32(row, RowField.clientHigh) },
      gateway: rows.get(row, RowField.gateway),
      isConfirmed: stateOf(rows, row) === RowState.confirmed,
      autoRenew: hasFlag(rows, row, RowFlag.autoRenew),
      deadlineMs: toWallMs(this.#state.registers, rows.getU64(row, RowField.deadline)),
    }
  }
}

function topicView(topic: Topic): TopicView {
  const { id, name, type, queueCount, createdAtMs, appended, retention } = topic
  return { topicId: id, name, type, queueCount, createdAtMs, appended, retention }
}

function placeView(place: Place): PlaceView {
  const queues = place.cursors.map((cursor, i) => ({
    queueId: cursor.queueId,
    nextOffset: place.topic.queues[i]?.next ?? 0,
    cursor: cursor.offset,
    start: cursor.start,
  }))
  return {
    consumerGroup: place.group.name,
    topic: place.topic.name,
    appended: place.topic.appended,
    before: queues.reduce((sum, queue) => sum + queue.start, 0),
    waiting: place.topic.appended - place.visited,
    inFlight: place.outstandingCount,
    retrying: place.readyCount,
    blocked: place.blockedCount,
    acked: place.acked,
    filtered: place.filtered,
    dead: place.dead,
    trimmed: place.trimmed,
    queues,
  }
}
