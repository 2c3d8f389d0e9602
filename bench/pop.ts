/**
 * Pop, confirm and ack: what a consumer costs the state. Batches of 32, settles of 32; then a million rows in flight at once, with the longest stop that
 * the garbage collector makes meanwhile. The queue index is the one in memory. Run: npx tsx bench/pop.ts
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { pathToFileURL } from 'node:url'
import { encodeCommand } from '../src/state/command-codec.ts'
import type { Command, DeliveryRef, SendMessage, SettleItem } from '../src/state/command.ts'
import { defaultLimits } from '../src/state/limits.ts'
import { entryKinds, StateMachine } from '../src/state/machine.ts'
import { MemoryQueueIndex } from '../src/state/memory-queue-index.ts'
import type { CommandResult } from '../src/state/result.ts'

export interface PopFigures {
  readonly name: 'pop'
  /** Popped, confirmed and acked messages a second of processor time. */
  readonly messagesPerSecond: number
  /** The same in a FIFO group, 1 024 message groups. */
  readonly fifoMessagesPerSecond: number
  readonly rowsInFlight: number
  readonly popsPerSecondAtMillion: number
  /** By the wall: on a machine that is busy with other things this is mostly waiting for a processor. */
  readonly collectionMsMax: number
  readonly collectionMsMedian: number
  /** What a full collection has to walk with all rows in flight. */
  readonly liveHeapMb: number
  /** Longest single entry while the rows grew to their number. */
  readonly entryMsMax: number
}

class Bench {
  readonly machine = new StateMachine({ index: new MemoryQueueIndex(), limits: { ...defaultLimits, groupRowsMax: 2_000_000 } })
  wallMs = 1_700_000_000_000
  #index = 0

  run(command: Command): CommandResult {
    const { parts, bytes } = encodeCommand({ node: 1, incarnation: 1, sequence: ++this.#index, sentAtMs: this.wallMs }, command)
    let body = parts[0] ?? new Uint8Array(0)
    if (parts.length > 1) {
      body = new Uint8Array(bytes)
      let at = 0
      for (const part of parts) {
        body.set(part, at)
        at += part.length
      }
    }
    const applied = this.machine.apply({ index: this.#index, term: 1, kind: entryKinds.data, wallMs: this.wallMs, body })
    if (applied === undefined) throw new Error('taken for a copy')
    return applied.result
  }

  prepare(isFifo: boolean, messages: number): void {
    this.run({ kind: 'createTopic', topic: 'bench', type: isFifo ? 'fifo' : 'normal', queueCount: 8 })
    this.run({
      kind: 'ensureGroup',
      consumerGroup: 'readers',
      settings: { isFifo, maxAttempts: 17, retry: { kind: 'customized', stepsMs: [10_000] } },
      start: { kind: 'first' },
      topics: ['bench'],
      replaceSettings: false,
    })
    const message: SendMessage = {
      dedupeKey: undefined,
      fingerprint: { low: 1, high: 1 },
      tagHash: 0,
      bodyMd5: new Uint8Array(16),
      systemPropertiesStart: 0,
      systemPropertiesEnd: 0,
      bytes: new Uint8Array(0),
    }
    const perSend = isFifo ? 8 : 1_000
    const batch = Array.from({ length: perSend }, () => message)
    for (let i = 0; i < messages / perSend; i++) {
      const messageGroup = isFifo ? { low: Math.imul(i % 1_024, 0x9e3779b1) >>> 0, high: 1 + (i % 1_024) } : undefined
      this.run({ kind: 'send', topic: 'bench', messageType: isFifo ? 2 : 1, messageGroup, messages: batch })
    }
  }

  pop(): DeliveryRef[] {
    const request = {
      max: 32,
      invisibleMs: 43_200_000,
      autoRenew: true,
      client: { low: 1 + (this.#index % 100), high: 1 },
      attempt: { low: this.#index, high: 7 },
      filter: { kind: 'all' },
    } as const
    const result = this.run({ kind: 'pop', consumerGroup: 'readers', topic: 'bench', requests: [request] })
    return result.kind === 'popped' ? (result.deliveries[0] ?? []).map(({ ref }) => ref) : []
  }

  settle(refs: readonly DeliveryRef[], kind: 'ack' | 'confirm'): void {
    this.run({ kind: 'settle', items: refs.map((ref): SettleItem => ({ kind, ref })) })
  }

  /** Pops, confirms and acks until nothing comes; a window of batches stays in flight. */
  drain(windowBatches: number): number {
    const window: DeliveryRef[][] = []
    let messages = 0
    for (;;) {
      const refs = this.pop()
      if (refs.length > 0) {
        messages += refs.length
        this.settle(refs, 'confirm')
        window.push(refs)
      }
      if (window.length > windowBatches || refs.length === 0) {
        const oldest = window.shift()
        if (oldest === undefined) return messages
        this.settle(oldest, 'ack')
      }
    }
  }
}

function cycles(isFifo: boolean): number {
  const warm = new Bench()
  warm.prepare(isFifo, 40_000)
  warm.drain(16)
  const bench = new Bench()
  bench.prepare(isFifo, 160_000)
  const before = process.cpuUsage()
  const messages = bench.drain(16)
  const { user, system } = process.cpuUsage(before)
  return Math.round((messages * 1e6) / (user + system))
}

async function million(): Promise<Pick<PopFigures, Exclude<keyof PopFigures, 'name' | 'messagesPerSecond' | 'fifoMessagesPerSecond'>>> {
  const collectionsMs: number[] = []
  const bench = new Bench()
  bench.prepare(false, 1_010_000)
  const observer = new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) collectionsMs.push(duration)
  })
  observer.observe({ entryTypes: ['gc'] })
  let entryMsMax = 0
  for (let i = 0; i < 1_000_000 / 32; i++) {
    const start = performance.now()
    const refs = bench.pop()
    entryMsMax = Math.max(entryMsMax, performance.now() - start)
    bench.settle(refs, 'confirm')
    if (i % 500 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  const rowsInFlight = bench.machine.sizes().rows
  const before = process.cpuUsage()
  for (let i = 0; i < 200; i++) bench.settle(bench.pop(), 'ack')
  const { user, system } = process.cpuUsage(before)
  await new Promise(resolve => setImmediate(resolve))
  observer.disconnect()
  const liveHeapMb = round(process.memoryUsage().heapUsed / 1e6)
  collectionsMs.sort((a, b) => a - b)
  const collectionMsMax = round(collectionsMs.at(-1) ?? 0)
  const collectionMsMedian = round(collectionsMs[Math.floor(collectionsMs.length / 2)] ?? 0)
  const popsPerSecondAtMillion = Math.round((200 * 1e6) / (user + system))
  return { rowsInFlight, popsPerSecondAtMillion, collectionMsMax, collectionMsMedian, liveHeapMb, entryMsMax: round(entryMsMax) }
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100
}

export async function runBench(): Promise<PopFigures> {
  return { name: 'pop', messagesPerSecond: cycles(false), fifoMessagesPerSecond: cycles(true), ...(await million()) }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) console.log(JSON.stringify(await runBench()))
