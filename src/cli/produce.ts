/**
 * `raftmq produce`: a message from the command line, or a message for each line of a file or of standard input (lines.ts says how).
 * Order: a topic of one queue, and a message group of a FIFO topic, get the lines in the file's order, so one batch is under way at a time;
 * otherwise several are.
 */
import { createReadStream, statSync } from 'node:fs'
import { SingleBar } from 'cli-progress'
import { methods } from './client.ts'
import type { ClusterClient } from './client.ts'
import { CliError, ExitCode } from './exit.ts'
import { LineCutter, linePropertyKey } from './lines.ts'
import type { Line } from './lines.ts'
import { isUnavailable, mustBeOk, withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { Sender } from './send.ts'
import type { MessageKind, OutgoingText } from './send.ts'
import { bytesShown, count, counted, durationShown, print, printJson, remark } from './terminal.ts'
import { typeName } from './topic.ts'

export interface ProduceOptions extends RemoteOptions {
  readonly file?: string
  readonly key?: readonly string[]
  readonly tag?: string
  /** Message group, for FIFO topics. */
  readonly group?: string
}

const lineBytesMax = 4 * 1024 * 1024
const chunkBytes = 1024 * 1024
const batchMessagesMax = 512
const batchBytesMax = 1024 * 1024
/** Batches under way where order does not matter. */
const batchesInFlightMax = 8

export async function produce(topic: string, text: string | undefined, options: ProduceOptions): Promise<void> {
  if (text !== undefined && options.file !== undefined) throw new CliError(ExitCode.usage, 'give either a text or --file, not both')
  if (text === '') throw new CliError(ExitCode.usage, 'a message needs a body')
  await withCluster(options, async cluster => {
    const { kind, isOrdered } = await describe(cluster, topic, options)
    const sender = new Sender(cluster, kind)
    if (text === undefined) await produceLines(sender, isOrdered ? 1 : batchesInFlightMax, options)
    else await produceOne(sender, Buffer.from(text), options)
  })
}

async function describe(cluster: ClusterClient, name: string, options: ProduceOptions): Promise<{ kind: MessageKind; isOrdered: boolean }> {
  const answer = await cluster.ask(methods.getTopic, { name }, isUnavailable)
  mustBeOk(answer.status)
  await learnNodes(cluster)
  const isFifo = typeName(answer.topic?.type) === 'fifo'
  if (isFifo && options.group === undefined)
    throw new CliError(ExitCode.usage, `${name} is a fifo topic: say the message group with --group`)
  if (!isFifo && options.group !== undefined) throw new CliError(ExitCode.usage, `${name} is not a fifo topic: it takes no --group`)
  const kind = { topic: name, isFifo, tag: options.tag, keys: options.key ?? [], messageGroup: options.group }
  return { kind, isOrdered: isFifo || answer.topic?.queueCount === 1 }
}

/** The other nodes take over when the one that was named goes away. */
export async function learnNodes(cluster: ClusterClient): Promise<void> {
  const answer = await cluster.ask(methods.clusterStatus, {}, () => false)
  for (const node of answer.nodes) cluster.learn(node.clientAddress ?? '')
}

async function produceOne(sender: Sender, body: Uint8Array, options: ProduceOptions): Promise<void> {
  const startMs = performance.now()
  const { messageIds, offsets } = await sender.send([{ body, properties: {} }])
  const elapsedMs = performance.now() - startMs
  const result = { messageId: messageIds[0] ?? '', offset: offsets[0] ?? 0, elapsedMs }
  if (options.output === 'json') printJson(result)
  else print(`${result.messageId}  offset ${result.offset}  committed in ${elapsedMs.toFixed(1)} ms`)
}

async function produceLines(sender: Sender, inFlightMax: number, options: ProduceOptions): Promise<void> {
  const path = options.file === undefined || options.file === '-' ? undefined : options.file
  const totalBytes = path === undefined ? 0 : statSync(path).size
  const bar = progressBar(totalBytes, options)
  const run = new LineRun(sender, inFlightMax, sent => bar?.update(sent.bytesRead, { messages: count(sent.messages) }))
  const stop = (): void => run.interrupt()
  process.once('SIGINT', stop)
  const startMs = performance.now()
  try {
    const source = path === undefined ? process.stdin : createReadStream(path, { highWaterMark: chunkBytes })
    for await (const chunk of source as AsyncIterable<Buffer>) {
      await run.take(chunk)
      if (run.isInterrupted) break
    }
    await run.finish()
  } catch (error) {
    if (error instanceof RangeError)
      throw new CliError(ExitCode.failed, `${path ?? 'standard input'}, line ${run.messages + 1}: ${error.message}`)
    throw error
  } finally {
    process.removeListener('SIGINT', stop)
    bar?.stop()
    report(run, performance.now() - startMs, options)
  }
  if (run.isInterrupted) throw new CliError(ExitCode.interrupted, 'interrupted; what is reported above is stored')
}

function report(run: LineRun, elapsedMs: number, options: ProduceOptions): void {
  const seconds = Math.max(elapsedMs, 1) / 1_000
  const { committed, committedBytes } = run
  if (options.output === 'json') {
    printJson({
      messages: committed,
      bytes: committedBytes,
      elapsedMs,
      messagesPerSecond: committed / seconds,
      bytesPerSecond: committedBytes / seconds,
    })
    return
  }
  const rate = `${counted(Math.round(committed / seconds), 'message')}/s, ${bytesShown(committedBytes / seconds)}/s`
  remark(`sent ${counted(committed, 'message')}, ${bytesShown(committedBytes)}, in ${durationShown(elapsedMs)}: ${rate}`)
}

function progressBar(totalBytes: number, options: ProduceOptions): SingleBar | undefined {
  if (!process.stderr.isTTY || totalBytes === 0 || options.output === 'json') return undefined
  const bar = new SingleBar({
    format: '{bar} {percentage}%  {messages} messages  {eta_formatted} left',
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
  })
  bar.start(totalBytes, 0, { messages: '0' })
  return bar
}

/** Lines on their way: cut, gathered into batches, sent with a bounded number under way. */
class LineRun {
  /** Lines cut so far, and lines known to be stored. */
  messages = 0
  committed = 0
  committedBytes = 0
  isInterrupted = false
  readonly #sender: Sender
  readonly #inFlightMax: number
  readonly #progress: (run: { readonly bytesRead: number; readonly messages: number }) => void
  readonly #cutter = new LineCutter(lineBytesMax)
  readonly #inFlight = new Set<Promise<void>>()
  #failure: Error | undefined
  #bytesRead = 0

  constructor(sender: Sender, inFlightMax: number, progress: (run: { readonly bytesRead: number; readonly messages: number }) => void) {
    this.#sender = sender
    this.#inFlightMax = inFlightMax
    this.#progress = progress
  }

  /** Sends the lines that end in this chunk; returns when the next chunk may come. */
  async take(chunk: Buffer): Promise<void> {
    this.#bytesRead += chunk.length
    await this.#sendAll(this.#cutter.push(chunk))
    this.#progress({ bytesRead: this.#bytesRead, messages: this.committed })
  }

  /** Sends the rest and waits for everything under way. */
  async finish(): Promise<void> {
    if (!this.isInterrupted) await this.#sendAll(this.#cutter.end())
    await Promise.all(this.#inFlight)
    this.#mustNotHaveFailed()
    this.#progress({ bytesRead: this.#bytesRead, messages: this.committed })
  }

  interrupt(): void {
    this.isInterrupted = true
  }

  async #sendAll(lines: readonly Line[]): Promise<void> {
    for (let start = 0; start < lines.length && !this.isInterrupted;) {
      let end = start
      let bytes = 0
      for (
        let line = lines[end];
        line !== undefined && end - start < batchMessagesMax && (end === start || bytes + line.body.length <= batchBytesMax);
        line = lines[end]
      ) {
        bytes += line.body.length
        end++
      }
      while (this.#inFlight.size >= this.#inFlightMax) await Promise.race(this.#inFlight)
      this.#mustNotHaveFailed()
      this.messages += end - start
      this.#start(lines.slice(start, end).map(textOf), bytes)
      start = end
    }
  }

  #start(texts: readonly OutgoingText[], bytes: number): void {
    const sending: Promise<void> = this.#sender
      .send(texts)
      .then(
        () => {
          this.committed += texts.length
          this.committedBytes += bytes
        },
        (error: unknown) => {
          this.#failure ??= error instanceof Error ? error : new Error(String(error))
        },
      )
      .finally(() => this.#inFlight.delete(sending))
    this.#inFlight.add(sending)
  }

  #mustNotHaveFailed(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}

function textOf(line: Line): OutgoingText {
  return { body: line.body, properties: line.ending === 'normal' ? {} : { [linePropertyKey]: line.ending } }
}
