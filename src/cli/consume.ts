/**
 * `raftmq consume`: takes messages for a consumer group, writes each as a line (lines.ts) or as a JSON line, and acknowledges it when it is written.
 * Receives are under way side by side, but their batches are written in the order in which they were asked for: the node serves the oldest first,
 * so a topic of one queue comes out in its order. What comes a second time because an acknowledgement was lost is written once.
 */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { apache } from '#proto/rocketmq-v2.js'
import { CallFailed, methods, v2 } from './client.ts'
import type { ClusterClient } from './client.ts'
import { CliError, ExitCode } from './exit.ts'
import { LineJoiner, linePropertyKey } from './lines.ts'
import { learnNodes } from './produce.ts'
import { isUnavailable, mustBeOk, withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { exitCodeOf, isComeAgain } from './send.ts'
import { counted, durationShown, printJson, remark } from './terminal.ts'
import { typeName } from './topic.ts'

export interface ConsumeOptions extends RemoteOptions {
  readonly group: string
  readonly untilEmpty?: boolean
  readonly out?: string
  readonly from: 'first' | 'last'
  readonly max?: number
}

type Message = apache.rocketmq.v2.Message.$Properties
type Code = apache.rocketmq.v2.Code

const { Code } = v2
const batchMessagesMax = 32
const receivesMax = 16
const acksMax = 16
const invisibleSeconds = 60
const followPollMs = 15_000
const untilEmptyPollMs = 500
/** Messages wait but none comes: somebody else holds what is before them. */
const stuckMs = 15_000
const patienceMs = 30_000
const pauseMs = 200
const writtenMax = 200_000

export async function consume(topic: string, options: ConsumeOptions): Promise<void> {
  await withCluster(options, async cluster => {
    const found = await cluster.ask(methods.getTopic, { name: topic }, isUnavailable)
    mustBeOk(found.status)
    const isFifo = typeName(found.topic?.type) === 'fifo'
    await ensureGroup(cluster, topic, options, isFifo)
    await learnNodes(cluster)
    const out = options.out === undefined ? undefined : await open(options.out, 'w')
    const run = new ConsumeRun(cluster, topic, options, out)
    const stop = (): void => run.interrupt()
    process.once('SIGINT', stop)
    process.once('SIGTERM', stop)
    const startMs = performance.now()
    try {
      await run.run()
    } finally {
      process.removeListener('SIGINT', stop)
      process.removeListener('SIGTERM', stop)
      await out?.close()
      report(run, performance.now() - startMs, options)
      await cluster.unary(methods.notifyTermination, { group: { name: options.group } }, 1_000).catch(() => undefined)
    }
    if (run.isInterrupted) throw new CliError(ExitCode.interrupted, 'interrupted; what was written is acknowledged')
  })
}

async function ensureGroup(cluster: ClusterClient, topic: string, options: ConsumeOptions, isFifo: boolean): Promise<void> {
  const answer = await cluster.ask(
    methods.ensureGroup,
    {
      name: options.group,
      ...(isFifo ? { settings: { isFifo } } : {}),
      start: options.from === 'first' ? { first: true } : { last: true },
      topics: [topic],
    },
    isUnavailable,
  )
  mustBeOk(answer.status)
}

function report(run: ConsumeRun, elapsedMs: number, options: ConsumeOptions): void {
  const perSecond = run.written / (Math.max(elapsedMs, 1) / 1_000)
  if (options.output === 'json' && options.out !== undefined)
    printJson({ messages: run.written, repeated: run.repeated, elapsedMs, messagesPerSecond: perSecond })
  else remark(`received ${counted(run.written, 'message')} in ${durationShown(elapsedMs)}: ${counted(Math.round(perSecond), 'message')}/s`)
}

class ConsumeRun {
  written = 0
  repeated = 0
  isInterrupted = false
  readonly #cluster: ClusterClient
  readonly #topic: string
  readonly #options: ConsumeOptions
  readonly #out: FileHandle | undefined
  readonly #joiner = new LineJoiner()
  readonly #stop = new AbortController()
  readonly #acks = new Set<Promise<void>>()
  /** Places written already, oldest first, so that a second delivery is not written again. */
  readonly #places = new Set<string>()
  #failure: Error | undefined

  constructor(cluster: ClusterClient, topic: string, options: ConsumeOptions, out: FileHandle | undefined) {
    this.#cluster = cluster
    this.#topic = topic
    this.#options = options
    this.#out = out
    setMaxListeners(receivesMax + acksMax, this.#stop.signal)
  }

  interrupt(): void {
    this.isInterrupted = true
    this.#stop.abort()
  }

  async run(): Promise<void> {
    const pending: Promise<Message[]>[] = []
    let width = 1
    let idleSinceMs = Date.now()
    while (!this.isInterrupted && !this.#isFull()) {
      while (pending.length < width) pending.push(this.#receiveAhead())
      const batch = (await pending.shift()) ?? []
      await this.#write(batch)
      if (batch.length === batchMessagesMax && this.#options.max === undefined) width = Math.min(receivesMax, width * 2)
      if (batch.length === 0) width = 1
      else idleSinceMs = Date.now()
      if (batch.length === 0 && pending.length === 0 && (await this.#isDone(idleSinceMs))) break
    }
    for (const rest of pending) await this.#write(await rest)
    await Promise.all(this.#acks)
    this.#mustNotHaveFailed()
  }

  #isFull(): boolean {
    return this.#options.max !== undefined && this.written >= this.#options.max
  }

  /** With --until-empty: nothing waits any more, or nothing has come for long. */
  async #isDone(idleSinceMs: number): Promise<boolean> {
    if (this.#options.untilEmpty !== true) return false
    await Promise.all(this.#acks)
    const answer = await this.#cluster.ask(methods.getGroup, { name: this.#options.group }, isUnavailable)
    mustBeOk(answer.status)
    const place = answer.group?.topics?.find(each => each.topic === this.#topic)
    if ((place?.waiting ?? 0) > 0 && Date.now() - idleSinceMs < stuckMs) return false
    if ((place?.waiting ?? 0) > 0) remark(`waiting behind others that are not acknowledged: ${counted(place?.waiting ?? 0, 'message')}`)
    if ((place?.inFlight ?? 0) > 0) remark(`with other consumers of ${this.#options.group}: ${counted(place?.inFlight ?? 0, 'message')}`)
    return true
  }

  /** A receive whose failure is seen when its turn comes, not before. */
  #receiveAhead(): Promise<Message[]> {
    const receiving = this.#receive()
    receiving.catch(() => undefined)
    return receiving
  }

  /** One receive, repeated with the same attempt id until a node answers: so the same messages come, not others. */
  async #receive(): Promise<Message[]> {
    const attemptId = randomUUID()
    const endMs = Date.now() + patienceMs
    while (!this.isInterrupted) {
      let problem: string
      try {
        const { code, message, messages } = await this.#receiveOnce(attemptId)
        if (code === Code.OK || code === Code.MESSAGE_NOT_FOUND) return messages
        if (this.#stop.signal.aborted) break
        problem = `${this.#topic}: ${message} (${code})`
        if (!isComeAgain(code)) throw new CliError(exitCodeOf(code), problem)
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error
        problem = error.message
      }
      if (Date.now() >= endMs) throw new CliError(ExitCode.unavailable, problem)
      await new Promise(resolve => setTimeout(resolve, pauseMs))
    }
    return []
  }

  async #receiveOnce(attemptId: string): Promise<{ code: Code; message: string; messages: Message[] }> {
    const pollMs = this.#options.untilEmpty === true ? untilEmptyPollMs : followPollMs
    const messages: Message[] = []
    let code: Code = Code.CODE_UNSPECIFIED
    let message = 'the stream ended without a status'
    await this.#cluster.stream(
      methods.receiveMessage,
      {
        group: { name: this.#options.group },
        messageQueue: { topic: { name: this.#topic } },
        filterExpression: { type: v2.FilterType.TAG, expression: '*' },
        batchSize: Math.min(batchMessagesMax, (this.#options.max ?? Infinity) - this.written),
        invisibleDuration: { seconds: invisibleSeconds },
        longPollingTimeout: { seconds: Math.floor(pollMs / 1_000), nanos: (pollMs % 1_000) * 1_000_000 },
        autoRenew: false,
        attemptId,
      },
      pollMs + 5_000,
      item => {
        if (item.message != null) messages.push(item.message)
        if (item.status == null) return
        code = item.status.code ?? Code.CODE_UNSPECIFIED
        message = item.status.message ?? ''
      },
      this.#stop.signal,
    )
    return { code, message, messages }
  }

  async #write(batch: readonly Message[]): Promise<void> {
    this.#mustNotHaveFailed()
    if (batch.length === 0) return
    const parts: Uint8Array[] = []
    for (const message of batch) {
      const place = `${message.systemProperties?.queueId ?? 0}/${message.systemProperties?.queueOffset ?? 0}`
      if (this.#places.has(place)) {
        this.repeated++
        continue
      }
      this.#places.add(place)
      this.written++
      if (this.#options.output === 'json' && this.#out === undefined) parts.push(Buffer.from(`${JSON.stringify(messageJson(message))}\n`))
      else parts.push(...this.#joiner.bytes(message.body ?? new Uint8Array(0), message.userProperties?.[linePropertyKey]))
    }
    for (const oldest of this.#places) {
      if (this.#places.size <= writtenMax) break
      this.#places.delete(oldest)
    }
    await this.#put(Buffer.concat(parts))
    while (this.#acks.size >= acksMax) await Promise.race(this.#acks)
    const acking: Promise<void> = this.#ack(batch).finally(() => this.#acks.delete(acking))
    this.#acks.add(acking)
  }

  async #put(bytes: Buffer): Promise<void> {
    if (bytes.length === 0) return
    if (this.#out !== undefined) await this.#out.writeFile(bytes)
    else if (!process.stdout.write(bytes)) await new Promise(resolve => process.stdout.once('drain', resolve))
  }

  /** Until the node says so. A handle that is stale means that the message will come again, and is dealt with then. */
  async #ack(batch: readonly Message[]): Promise<void> {
    const entries = batch.map(message => ({
      messageId: message.systemProperties?.messageId ?? '',
      receiptHandle: message.systemProperties?.receiptHandle ?? '',
    }))
    const endMs = Date.now() + patienceMs
    for (;;) {
      let problem: string
      try {
        const answer = await this.#cluster.unary(methods.ackMessage, {
          group: { name: this.#options.group },
          topic: { name: this.#topic },
          entries,
        })
        const codes = answer.entries.map(entry => entry.status?.code ?? Code.CODE_UNSPECIFIED)
        if (answer.status?.code === Code.OK || codes.every(code => code === Code.OK || code === Code.INVALID_RECEIPT_HANDLE)) return
        problem = `acknowledging: ${answer.status?.message ?? ''} (${answer.status?.code ?? 0})`
      } catch (error) {
        if (!(error instanceof CallFailed)) {
          this.#failure ??= error instanceof Error ? error : new Error(String(error))
          return
        }
        problem = error.message
      }
      if (Date.now() >= endMs) {
        this.#failure ??= new CliError(ExitCode.unavailable, problem)
        return
      }
      await new Promise(resolve => setTimeout(resolve, pauseMs))
    }
  }

  #mustNotHaveFailed(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}

/** A message as a program wants it. A body that is not UTF-8 comes as base64. */
function messageJson(message: Message): Record<string, unknown> {
  const system = message.systemProperties
  const body = message.body ?? new Uint8Array(0)
  let text: string | undefined
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    text = undefined
  }
  return {
    messageId: system?.messageId ?? '',
    topic: message.topic?.name ?? '',
    queue: system?.queueId ?? 0,
    offset: system?.queueOffset ?? 0,
    attempt: system?.deliveryAttempt ?? 0,
    ...(system?.tag == null ? {} : { tag: system.tag }),
    ...(system?.messageGroup == null ? {} : { group: system.messageGroup }),
    keys: system?.keys ?? [],
    properties: message.userProperties ?? {},
    bornMs: (system?.bornTimestamp?.seconds ?? 0) * 1_000 + Math.floor((system?.bornTimestamp?.nanos ?? 0) / 1_000_000),
    ...(text === undefined ? { bodyBase64: Buffer.from(body).toString('base64') } : { body: text }),
  }
}
