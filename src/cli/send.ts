/**
 * Sends batches of messages through a node, and tries again with the same message ids until there is an answer: deduplication makes that safe.
 * One batch is one SendMessage: one entry of the log, one queue, all or nothing.
 */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { apache } from '#proto/rocketmq-v2.js'
import { CallFailed, methods, v2 } from './client.ts'
import type { ClusterClient } from './client.ts'
import { CliError, ExitCode } from './exit.ts'

export interface OutgoingText {
  readonly body: Uint8Array
  readonly properties: Readonly<Record<string, string>>
}

export interface MessageKind {
  readonly topic: string
  readonly isFifo: boolean
  readonly tag: string | undefined
  readonly keys: readonly string[]
  readonly messageGroup: string | undefined
}

type Message = apache.rocketmq.v2.Message.$Properties
type SendAnswer = apache.rocketmq.v2.SendMessageResponse

/** Shorter than the deduplication window, longer than any failover. */
const patienceMs = 30_000
const sendTimeoutMs = 5_000
const pauseMs = 100
/** v2 codes below this are the request's own fault. */
const serverErrors = 50_000
type Code = apache.rocketmq.v2.Code
const { Code } = v2
/** A leader is missing, or somebody is busy: the same again, a little later. */
const comeAgain: readonly Code[] = [
  Code.TOO_MANY_REQUESTS,
  Code.HA_NOT_AVAILABLE,
  Code.PROXY_TIMEOUT,
  Code.MASTER_PERSISTENCE_TIMEOUT,
  Code.SLAVE_PERSISTENCE_TIMEOUT,
  Code.REQUEST_TIMEOUT,
]

export class Sender {
  readonly #cluster: ClusterClient
  readonly #kind: MessageKind
  readonly #idPrefix: string
  #sequence = 0

  constructor(cluster: ClusterClient, kind: MessageKind) {
    this.#cluster = cluster
    this.#kind = kind
    const seconds = Math.floor((Date.now() - Date.UTC(2021, 0, 1)) / 1_000)
    // Protocol reference §6.3: version, machine, process, start; the machine part is drawn, so that two containers never agree.
    this.#idPrefix = `01${randomBytes(6).toString('hex')}${(process.pid & 0xffff).toString(16).padStart(4, '0')}${(seconds >>> 0).toString(16).padStart(8, '0')}`
  }

  /** The ids of the batch's messages, when they are committed. Throws a CliError when that can't be had. */
  async send(texts: readonly OutgoingText[]): Promise<{ readonly messageIds: readonly string[]; readonly offsets: readonly number[] }> {
    const messages = texts.map(text => this.#message(text))
    const answer = await this.#untilAnswered(messages)
    return {
      messageIds: messages.map(message => message.systemProperties?.messageId ?? ''),
      offsets: answer.entries.map(entry => entry.offset ?? 0),
    }
  }

  async #untilAnswered(messages: Message[]): Promise<SendAnswer> {
    const endMs = Date.now() + patienceMs
    let mayHaveHappened = false
    for (;;) {
      let problem: string
      try {
        const answer = await this.#cluster.unary(methods.sendMessage, { messages }, sendTimeoutMs)
        const code = answer.status?.code ?? Code.CODE_UNSPECIFIED
        if (code === Code.OK) return answer
        problem = `${this.#kind.topic}: ${answer.status?.message ?? ''} (${code})`
        if (!comeAgain.includes(code)) throw new CliError(exitCodeOf(code), problem)
        mayHaveHappened ||= code !== Code.TOO_MANY_REQUESTS && code !== Code.HA_NOT_AVAILABLE
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error
        mayHaveHappened ||= !error.isUnsent
        problem = error.message
      }
      if (Date.now() + pauseMs >= endMs) {
        const end = mayHaveHappened ? 'the last messages may or may not have been stored' : 'the last messages were not stored'
        throw new CliError(
          mayHaveHappened ? ExitCode.outcomeUnknown : ExitCode.unavailable,
          `${problem}; gave up after ${patienceMs / 1_000} s: ${end}`,
        )
      }
      await new Promise(resolve => setTimeout(resolve, pauseMs))
    }
  }

  #message(text: OutgoingText): Message {
    const { topic, isFifo, tag, keys, messageGroup } = this.#kind
    const nowMs = Date.now()
    return {
      topic: { name: topic },
      userProperties: { ...text.properties },
      systemProperties: {
        messageId: `${this.#idPrefix}${(this.#sequence++).toString(16).padStart(8, '0')}`.toUpperCase(),
        messageType: isFifo ? v2.MessageType.FIFO : v2.MessageType.NORMAL,
        bodyEncoding: v2.Encoding.IDENTITY,
        bornTimestamp: { seconds: Math.floor(nowMs / 1_000), nanos: (nowMs % 1_000) * 1_000_000 },
        bornHost: hostname(),
        keys: [...keys],
        ...(tag === undefined ? {} : { tag }),
        ...(messageGroup === undefined ? {} : { messageGroup }),
      },
      body: text.body,
    }
  }
}

/** What a v2 code that is not OK means for the command. */
export function exitCodeOf(code: Code): ExitCode {
  if (code === Code.TOPIC_NOT_FOUND || code === Code.CONSUMER_GROUP_NOT_FOUND || code === Code.NOT_FOUND) return ExitCode.notFound
  if (comeAgain.includes(code)) return ExitCode.unavailable
  const number: number = code
  return number < serverErrors ? ExitCode.usage : ExitCode.failed
}

/** The same request may succeed a little later. */
export function isComeAgain(code: Code): boolean {
  return comeAgain.includes(code)
}
