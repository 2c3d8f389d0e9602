/**
 * The naive twin of the state machine: the same meaning, written as plainly as it can be, with arrays that are searched from end to end. It has no
 * bounds (tests stay below them), no digest and no checkpoint, and shares no code with the machine but the types.
 */
import type {
  CarriedMessage,
  ClientsChanged,
  Command,
  DeliveryRef,
  EnsureGroup,
  GroupSettings,
  Pop,
  PopRequest,
  QueueTrim,
  Send,
  Settle,
  SettleItem,
  StartPosition,
} from '../command.ts'
import type { Hash64 } from '../ids.ts'
import type { CommandResult, Delivery, SentMessage } from '../result.ts'

interface TwinMessage {
  tagHash: number
  group: string
  logIndex: number
  ordinal: number
  storedAtMs: number
}

interface TwinTopic {
  id: number
  name: string
  isFifo: boolean
  queues: TwinMessage[][]
  /** What is below was given up. */
  firsts: number[]
  placed: number
}

interface TwinGroup {
  id: number
  name: string
  settings: GroupSettings
  start: StartPosition
}

export interface TwinPlace {
  group: TwinGroup
  topic: TwinTopic
  starts: number[]
  cursors: number[]
  nextQueue: number
  acked: number
  filtered: number
  dead: number
  trimmed: number
  /** What may be given again, in the order in which it became so: rows, or locks of a FIFO group. */
  visible: (TwinRow | string)[]
}

interface TwinRow {
  place: TwinPlace
  queue: number
  offset: number
  message: TwinMessage
  isOut: boolean
  attempt: number
  sequence: number
  deadline: number
  client: string
  attemptId: string
  gateway: number
  isConfirmed: boolean
  autoRenew: boolean
  isSuspended: boolean
  givenAt: number
}

interface TwinClient {
  nodes: Set<number>
  goneAt: number
  saidGoodbye: boolean
}

const text = ({ low, high }: Hash64) => `${high}/${low}`
const nobody = '0/0'

export class Twin {
  topics: TwinTopic[] = []
  groups: TwinGroup[] = []
  places: TwinPlace[] = []
  rows: TwinRow[] = []
  clients = new Map<string, TwinClient>()
  nodes = new Map<number, { incarnation: number; sequence: number; isUp: boolean; drainBelow: number }>()
  sent: { key: string; topicId: number; queueId: number; offset: number; at: number }[] = []
  wallMs = 0
  logFirst = 1
  now = 0
  level = 1
  #topicId = 1
  #groupId = 1
  #sequence = 1
  #order = 1
  #logIndex = 0

  /** One entry. Undefined for a copy. */
  apply(
    entry: { index: number; wallMs: number; isLeap: boolean },
    from?: { node: number; incarnation: number; sequence: number; sentAtMs: number },
    command?: Command,
  ): CommandResult | undefined {
    this.#logIndex = entry.index
    const node = from === undefined ? undefined : this.nodes.get(from.node)
    if (from !== undefined && node !== undefined) {
      if (from.incarnation < node.incarnation) return undefined
      if (from.incarnation === node.incarnation && from.sequence <= node.sequence) return undefined
    }
    if (!entry.isLeap) this.now += entry.wallMs - (this.wallMs === 0 ? 0 : this.wallMs)
    this.wallMs = entry.wallMs
    this.sent = this.sent.filter(({ at }) => this.now - at <= 120_000)
    this.#fire()
    if (from === undefined || command === undefined) return undefined
    if (node === undefined) this.nodes.set(from.node, { incarnation: from.incarnation, sequence: from.sequence, isUp: true, drainBelow: 0 })
    else {
      const isRestart = from.incarnation !== node.incarnation && node.sequence > 0
      node.incarnation = from.incarnation
      node.sequence = from.sequence
      if (isRestart) this.#forgetGateway(from.node)
    }
    if (entry.wallMs - from.sentAtMs > 15_000) return { kind: 'refused', reason: 'late' }
    return this.#run(from.node, command)
  }

  #run(node: number, command: Command): CommandResult {
    switch (command.kind) {
      case 'send':
        return this.#send(command)
      case 'pop':
        return this.#pop(node, command)
      case 'settle':
        return this.#settle(node, command)
      case 'createTopic': {
        const topic = this.topics.find(({ name }) => name === command.topic)
        if (topic === undefined) {
          return {
            kind: 'topicCreated',
            topicId: this.#addTopic(command.topic, command.type === 'fifo', command.queueCount).id as never,
            existed: false,
          }
        }
        const isSame = topic.isFifo === (command.type === 'fifo') && topic.queues.length === command.queueCount
        return isSame ? { kind: 'topicCreated', topicId: topic.id as never, existed: true } : { kind: 'refused', reason: 'topicExists' }
      }
      case 'deleteTopic': {
        const topic = this.topics.find(({ name }) => name === command.topic)
        if (topic === undefined) return { kind: 'refused', reason: 'topicNotFound' }
        this.topics = this.topics.filter(each => each !== topic)
        this.rows = this.rows.filter(({ place }) => place.topic !== topic)
        this.places = this.places.filter(place => place.topic !== topic)
        return { kind: 'topicDeleted' }
      }
      case 'ensureGroup':
        return this.#ensureGroup(command)
      case 'clientsChanged':
        this.#clientsChanged(node, command)
        return { kind: 'done' }
      case 'nodeChanged': {
        const found = this.nodes.get(command.node) ?? { incarnation: 0, sequence: 0, isUp: true, drainBelow: 0 }
        this.nodes.set(command.node, found)
        if (found.isUp && !command.isUp) this.#forgetGateway(command.node)
        found.isUp = command.isUp
        return { kind: 'done' }
      }
      case 'setRetention':
        return this.topics.some(({ name }) => name === command.topic) ? { kind: 'done' } : { kind: 'refused', reason: 'topicNotFound' }
      case 'trim':
        for (const item of command.queues) this.#trim(item)
        return { kind: 'done' }
      case 'trimLog':
        this.logFirst = Math.max(this.logFirst, Math.min(command.index, this.#logIndex))
        return { kind: 'done' }
      case 'carry':
        command.items.forEach((item, ordinal) => this.#carry(item, ordinal))
        return { kind: 'done' }
      case 'raiseLevel':
        this.level = Math.max(this.level, command.level)
        return { kind: 'done' }
      case 'tick':
      case 'barrier':
      case 'digestCheck':
        return { kind: 'done' }
    }
  }

  #trim({ topicId, queueId, offset: wanted, forcedBelow }: QueueTrim): void {
    const topic = this.topics.find(({ id }) => id === topicId)
    const queue = topic?.queues[queueId]
    if (topic === undefined || queue === undefined) return
    const offset = Math.min(wanted, queue.length)
    for (const place of this.places.filter(each => each.topic === topic).sort((a, b) => a.group.id - b.group.id)) {
      const skipped = offset - (place.cursors[queueId] ?? 0)
      if (skipped > 0) {
        place.cursors[queueId] = offset
        place.trimmed += skipped
      }
      const rows = this.rows.filter(row => row.place === place && row.queue === queueId && row.offset < forcedBelow)
      for (const row of rows.sort((a, b) => a.offset - b.offset)) {
        place.trimmed++
        this.#giveUp(row)
      }
    }
    topic.firsts[queueId] = Math.max(topic.firsts[queueId] ?? 0, offset)
  }

  /** It may be visible: then its place in the order goes with it, and a lock that it was the first of comes last. */
  #giveUp(row: TwinRow): void {
    const { place } = row
    const behind = this.rows.filter(each => each.place === place && lockOf(each) === lockOf(row))
    const isFirst = behind.every(each => each.offset >= row.offset)
    if (!place.group.settings.isFifo) place.visible = place.visible.filter(each => each !== row)
    else if (isFirst) place.visible = place.visible.filter(each => each !== lockOf(row))
    this.#remove(row)
  }

  #carry({ topicId, queueId, offset }: CarriedMessage, ordinal: number): void {
    const topic = this.topics.find(({ id }) => id === topicId)
    const queue = topic?.queues[queueId]
    const message = queue?.[offset]
    if (topic === undefined || message === undefined) return
    const isUnfinished = this.rows.some(row => row.place.topic === topic && row.queue === queueId && row.offset === offset)
    if (offset < (topic.firsts[queueId] ?? 0) && !isUnfinished) return
    message.logIndex = this.#logIndex
    message.ordinal = ordinal
  }

  #addTopic(name: string, isFifo: boolean, queueCount: number): TwinTopic {
    const topic = {
      id: this.#topicId++,
      name,
      isFifo,
      queues: Array.from({ length: queueCount }, () => []),
      firsts: new Array<number>(queueCount).fill(0),
      placed: 0,
    }
    this.topics.push(topic)
    return topic
  }

  #send(command: Send): CommandResult {
    const topic = this.topics.find(({ name }) => name === command.topic)
    if (topic === undefined) return { kind: 'refused', reason: 'topicNotFound' }
    if (command.messageType !== (topic.isFifo ? 2 : 1)) return { kind: 'refused', reason: 'messageTypeMismatch' }
    const group = topic.isFifo ? (command.messageGroup ?? { low: 0, high: 0 }) : { low: 0, high: 0 }
    let queueId = -1
    const messages: SentMessage[] = command.messages.map((message, ordinal) => {
      const { dedupeKey } = message
      const key = dedupeKey === undefined ? undefined : `${text(dedupeKey.a)} ${text(dedupeKey.b)} ${text(message.fingerprint)}`
      const first = this.sent.find(each => each.key === key && each.topicId === topic.id)
      if (first !== undefined) return { queueId: first.queueId as never, offset: first.offset as never, isDuplicate: true }
      if (queueId < 0)
        queueId = topic.isFifo
          ? Number(((BigInt(group.high) << 32n) | BigInt(group.low)) % BigInt(topic.queues.length))
          : topic.placed++ % topic.queues.length
      const queue = topic.queues[queueId] ?? []
      const offset =
        queue.push({ tagHash: message.tagHash >>> 0, group: text(group), logIndex: this.#logIndex, ordinal, storedAtMs: this.wallMs }) - 1
      if (key !== undefined) this.sent.push({ key, topicId: topic.id, queueId, offset, at: this.now })
      return { queueId: queueId as never, offset: offset as never, isDuplicate: false }
    })
    return { kind: 'sent', topicId: topic.id as never, messages }
  }

  #ensureGroup(command: EnsureGroup): CommandResult {
    const existing = this.groups.find(({ name }) => name === command.consumerGroup)
    const group = existing ?? this.#addGroup(command.consumerGroup, command.settings, command.start)
    if (existing !== undefined && command.replaceSettings) this.#replace(existing, command.settings)
    for (const name of command.topics) {
      const topic = this.topics.find(each => each.name === name)
      if (topic !== undefined) this.#place(group, topic)
    }
    return { kind: 'groupEnsured', consumerGroupId: group.id as never }
  }

  #replace(group: TwinGroup, settings: GroupSettings): void {
    const wasFifo = group.settings.isFifo
    group.settings = settings
    if (wasFifo === settings.isFifo) return
    const places = this.places.filter(place => place.group === group).sort((a, b) => a.topic.id - b.topic.id)
    for (const place of places) {
      const rows = this.rows.filter(row => row.place === place && !row.isOut).sort((a, b) => a.queue - b.queue || a.offset - b.offset)
      if (settings.isFifo) {
        place.visible = []
        for (const row of rows) this.#maybeFree(place, lockOf(row))
      } else {
        // First rows of free locks keep their place in the list; the others come behind.
        const heads = place.visible.map(lock => rows.find(row => lockOf(row) === lock)).filter(row => row !== undefined)
        place.visible = [...heads, ...rows.filter(row => !heads.includes(row))]
      }
    }
  }

  #addGroup(name: string, settings: GroupSettings, start: StartPosition): TwinGroup {
    const group = { id: this.#groupId++, name, settings, start }
    this.groups.push(group)
    return group
  }

  #place(group: TwinGroup, topic: TwinTopic): TwinPlace {
    const existing = this.places.find(place => place.group === group && place.topic === topic)
    if (existing !== undefined) return existing
    const { start } = group
    const starts = topic.queues.map((queue, i) => {
      const first = topic.firsts[i] ?? 0
      if (start.kind === 'first') return first
      if (start.kind === 'last') return queue.length
      const found = queue.findIndex((message, offset) => offset >= first && message.storedAtMs >= start.wallMs)
      return found < 0 ? queue.length : found
    })
    const place: TwinPlace = {
      group,
      topic,
      starts,
      cursors: [...starts],
      nextQueue: 0,
      acked: 0,
      filtered: 0,
      dead: 0,
      trimmed: 0,
      visible: [],
    }
    this.places.push(place)
    return place
  }

  #pop(node: number, command: Pop): CommandResult {
    const topic = this.topics.find(({ name }) => name === command.topic)
    if (topic === undefined) return { kind: 'refused', reason: 'topicNotFound' }
    const group =
      this.groups.find(({ name }) => name === command.consumerGroup) ??
      this.#addGroup(
        command.consumerGroup,
        { isFifo: false, maxAttempts: 17, retry: { kind: 'customized', stepsMs: [10_000, 30_000, 60_000] } },
        { kind: 'last' },
      )
    const place = this.#place(group, topic)
    const deliveries = command.requests.map(request => this.#serve(node, place, request))
    return { kind: 'popped', consumerGroupId: group.id as never, topicId: topic.id as never, deliveries, hasMore: false }
  }

  #serve(node: number, place: TwinPlace, request: PopRequest): Delivery[] {
    this.#connect(request.client, node)
    const client = text(request.client)
    const attemptId = request.attempt === undefined || client === nobody ? '' : text(request.attempt)
    const again = this.rows
      .filter(row => row.isOut && row.place === place && attemptId !== '' && row.client === client && row.attemptId === attemptId)
      .sort((a, b) => a.sequence - b.sequence)
    if (again.length > 0) {
      for (const row of again) {
        row.gateway = node
        row.isConfirmed = false
        row.givenAt = this.#order++
        row.deadline = Math.max(row.deadline, this.now + request.invisibleMs)
      }
      return again.map(toDelivery)
    }
    const given: TwinRow[] = []
    const { filter } = request
    const isWanted = (message: TwinMessage) => filter.kind === 'all' || filter.hashes.some(hash => hash >>> 0 === message.tagHash)
    const give = (row: TwinRow) => {
      if (!isWanted(row.message)) {
        place.filtered++
        this.rows = this.rows.filter(each => each !== row)
        return
      }
      Object.assign(row, { isOut: true, attempt: row.attempt + 1, sequence: this.#sequence++, deadline: this.now + request.invisibleMs })
      Object.assign(row, { client, attemptId, gateway: node, isConfirmed: false, isSuspended: false, givenAt: this.#order++ })
      row.autoRenew = request.autoRenew && client !== nobody
      given.push(row)
    }
    while (place.visible.length > 0 && given.length < request.max) {
      const first = place.visible.shift()
      if (first === undefined) break
      if (typeof first !== 'string') give(first)
      else {
        const behind = this.rows.filter(row => row.place === place && lockOf(row) === first).sort((a, b) => a.offset - b.offset)
        for (const row of behind) if (given.length < request.max) give(row)
      }
    }
    const count = place.cursors.length
    for (let i = 0, start = place.nextQueue; i < count && given.length < request.max; i++) {
      const queueId = (start + i) % count
      const queue = place.topic.queues[queueId] ?? []
      while (given.length < request.max && (place.cursors[queueId] ?? 0) < queue.length) {
        const offset = place.cursors[queueId] ?? 0
        const message = queue[offset]
        if (message === undefined) break
        place.cursors[queueId] = offset + 1
        if (!isWanted(message)) {
          place.filtered++
          continue
        }
        const row = newRow(place, queueId, offset, message)
        const others = this.rows.filter(each => each.place === place && lockOf(each) === lockOf(row) && !given.includes(each))
        this.rows.push(row)
        if (!place.group.settings.isFifo || others.length === 0) give(row)
      }
      if (given.length === request.max) place.nextQueue = (queueId + 1) % count
    }
    return given.map(toDelivery)
  }

  #settle(node: number, command: Settle): CommandResult {
    return { kind: 'settled', outcomes: command.items.map(item => this.#settleItem(node, item)) }
  }

  #settleItem(node: number, item: SettleItem): 'ok' | 'staleHandle' {
    const { ref } = item
    const place = this.places.find(each => each.group.id === ref.consumerGroupId && each.topic.id === ref.topicId)
    if (place === undefined) return 'staleHandle'
    const row = this.rows.find(each => each.place === place && each.queue === ref.queueId && each.offset === ref.offset)
    if (row === undefined) return item.kind !== 'changeInvisible' && this.#isSettled(place, ref) ? 'ok' : 'staleHandle'
    if (!row.isOut || row.sequence !== ref.deliverySequence) return 'staleHandle'
    switch (item.kind) {
      case 'ack':
        place.acked++
        this.#remove(row)
        return 'ok'
      case 'deadLetter':
        this.#bury(row)
        return 'ok'
      case 'confirm':
        if (row.gateway !== node) return 'staleHandle'
        this.#confirm(row)
        return 'ok'
      case 'release':
        if (row.gateway !== node || row.isConfirmed) return 'staleHandle'
        this.#end(row, false)
        return 'ok'
      case 'changeInvisible': {
        this.#confirm(row)
        let delayMs = item.invisibleMs
        if (row.autoRenew && !place.group.settings.isFifo && !item.suspend)
          delayMs = Math.max(delayMs, this.#backOff(place.group, row.attempt))
        if (row.autoRenew) row.client = ''
        row.autoRenew = false
        row.attemptId = ''
        row.isSuspended = item.suspend
        row.deadline = this.now + delayMs
        if (delayMs === 0) this.#end(row, true)
        return 'ok'
      }
    }
  }

  #backOff(group: TwinGroup, attempt: number): number {
    const { retry } = group.settings
    if (retry.kind === 'exponential') return Math.min(Math.floor(retry.initialMs * retry.multiplier ** (attempt - 1)), retry.maxMs)
    return retry.stepsMs[Math.min(attempt, retry.stepsMs.length) - 1] ?? 0
  }

  #isSettled(place: TwinPlace, { queueId, offset, deliverySequence }: DeliveryRef): boolean {
    const isPast = offset >= (place.starts[queueId] ?? Infinity) && offset < (place.cursors[queueId] ?? 0)
    return isPast && deliverySequence > 0 && deliverySequence < this.#sequence
  }

  #confirm(row: TwinRow): void {
    if (row.isConfirmed) return
    row.isConfirmed = true
    if (row.autoRenew) row.deadline = this.now + 3 * 3_600_000
  }

  /** Ends a delivery that was not answered. */
  #end(row: TwinRow, isCounted: boolean): void {
    const { place } = row
    const counts = isCounted && !row.isSuspended
    if (counts && row.attempt >= place.group.settings.maxAttempts) return this.#bury(row)
    Object.assign(row, { isOut: false, isSuspended: false, client: '', attemptId: '', gateway: 0 })
    if (!counts) row.attempt--
    if (place.group.settings.isFifo) this.#maybeFree(place, lockOf(row))
    else place.visible.push(row)
  }

  #bury(row: TwinRow): void {
    const name = `%DLQ%${row.place.group.name}`
    const topic = this.topics.find(each => each.name === name) ?? this.#addTopic(name, false, 1)
    topic.queues[0]?.push({ ...row.message, storedAtMs: this.wallMs })
    row.place.dead++
    this.#remove(row)
  }

  #remove(row: TwinRow): void {
    this.rows = this.rows.filter(each => each !== row)
    if (row.place.group.settings.isFifo) this.#maybeFree(row.place, lockOf(row))
  }

  #maybeFree(place: TwinPlace, lock: string): void {
    const rows = this.rows.filter(row => row.place === place && lockOf(row) === lock)
    if (rows.length > 0 && rows.every(row => !row.isOut) && !place.visible.includes(lock)) place.visible.push(lock)
  }

  #connect(hash: Hash64, node: number): void {
    if (text(hash) === nobody) return
    const client = this.clients.get(text(hash)) ?? { nodes: new Set<number>(), goneAt: Infinity, saidGoodbye: false }
    this.clients.set(text(hash), client)
    if (this.nodes.get(node)?.isUp ?? true) {
      client.nodes.add(node)
      client.goneAt = Infinity
    } else if (client.nodes.size === 0) client.goneAt = this.now + 10_000
    client.saidGoodbye = false
  }

  #clientsChanged(node: number, command: ClientsChanged): void {
    for (const { client: hash, change } of command.changes) {
      const client = this.clients.get(text(hash))
      if (change === 'connected') this.#connect(hash, node)
      else if (client !== undefined) this.#disconnect(client, node, change === 'terminated')
    }
  }

  #disconnect(client: TwinClient, node: number, saidGoodbye: boolean): void {
    client.nodes.delete(node)
    client.saidGoodbye ||= saidGoodbye
    if (client.nodes.size === 0)
      client.goneAt = Math.min(client.goneAt, this.now + (!client.saidGoodbye ? 10_000 : this.level === 1 ? 500 : 200))
  }

  #forgetGateway(number: number): void {
    for (const client of this.clients.values()) if (client.nodes.has(number)) this.#disconnect(client, number, false)
    const node = this.nodes.get(number)
    if (node !== undefined) node.drainBelow = this.#order
  }

  #fire(): void {
    for (const number of [...this.nodes.keys()].sort((a, b) => a - b)) {
      const below = this.nodes.get(number)?.drainBelow ?? 0
      const lost = this.rows.filter(row => row.isOut && !row.isConfirmed && row.gateway === number && row.givenAt < below)
      for (const row of lost.sort((a, b) => a.givenAt - b.givenAt)) this.#end(row, false)
    }
    for (;;) {
      const due = this.rows.filter(row => row.isOut && row.deadline <= this.now)
      const [row] = due.sort((a, b) => a.deadline - b.deadline || keyOrder(a, b))
      const [gone] = [...this.clients]
        .filter(([, { goneAt }]) => goneAt <= this.now)
        .sort((a, b) => a[1].goneAt - b[1].goneAt || hashOrder(a[0], b[0]))
      if (row !== undefined && row.deadline <= (gone?.[1].goneAt ?? Infinity)) this.#end(row, true)
      else if (gone !== undefined) {
        const [held] = this.rows.filter(each => each.isOut && each.client === gone[0]).sort((a, b) => a.sequence - b.sequence)
        if (held === undefined) this.clients.delete(gone[0])
        else this.#end(held, held.isConfirmed)
      } else return
    }
  }
}

function newRow(place: TwinPlace, queue: number, offset: number, message: TwinMessage): TwinRow {
  return {
    place,
    queue,
    offset,
    message,
    isOut: false,
    attempt: 0,
    sequence: 0,
    deadline: 0,
    client: '',
    attemptId: '',
    gateway: 0,
    isConfirmed: false,
    autoRenew: false,
    isSuspended: false,
    givenAt: 0,
  }
}

function lockOf(row: TwinRow): string {
  return `${row.queue} ${row.message.group}`
}

function toDelivery(row: TwinRow): Delivery {
  const { place, message } = row
  const ref = {
    consumerGroupId: place.group.id,
    topicId: place.topic.id,
    queueId: row.queue,
    offset: row.offset,
    deliverySequence: row.sequence,
  }
  return { ref: ref as never, logIndex: message.logIndex, ordinal: message.ordinal, attempt: row.attempt, storedAtMs: message.storedAtMs }
}

function keyOrder(a: TwinRow, b: TwinRow): number {
  return a.place.group.id - b.place.group.id || a.place.topic.id - b.place.topic.id || a.queue - b.queue || a.offset - b.offset
}

function hashOrder(a: string, b: string): number {
  const [aHigh, aLow] = a.split('/').map(Number)
  const [bHigh, bLow] = b.split('/').map(Number)
  return (aHigh ?? 0) - (bHigh ?? 0) || (aLow ?? 0) - (bLow ?? 0)
}
