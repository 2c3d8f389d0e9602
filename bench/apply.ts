/**
 * Apply of sends: decode of an entry, deduplication, placement, queue index row, and the digest that falls due each thousand entries. One message of
 * 1 KiB an entry, with and without a message id. The queue index is the one in memory. Run: npx tsx bench/apply.ts
 */
import { pathToFileURL } from 'node:url'
import { encodeCommand } from '../src/state/command-codec.ts'
import type { Send } from '../src/state/command.ts'
import { entryKinds, StateMachine } from '../src/state/machine.ts'
import { MemoryQueueIndex } from '../src/state/memory-queue-index.ts'

export interface ApplyFigures {
  readonly name: 'apply'
  readonly sendsPerSecond: number
  /** Without message ids: no deduplication. */
  readonly sendsPerSecondPlain: number
  /** 32 messages an entry. */
  readonly messagesPerSecondBatched: number
}

const measuredEntries = 200_000

/** The bytes of a send, whose sequence and key are patched for every entry. */
function sendTemplate(messages: number, hasKeys: boolean): { body: Uint8Array; keysAt: readonly number[] } {
  const bytes = new Uint8Array(1_024).fill(7)
  const zero = { low: 0, high: 0 }
  const message = {
    dedupeKey: hasKeys ? { a: { low: 1, high: 1 }, b: zero } : undefined,
    fingerprint: { low: 5, high: 5 },
    tagHash: 3,
    bodyMd5: new Uint8Array(16),
    systemPropertiesStart: 0,
    systemPropertiesEnd: 0,
    bytes,
  }
  const command: Send = {
    kind: 'send',
    topic: 'bench',
    messageType: 1,
    messageGroup: undefined,
    messages: Array.from({ length: messages }, () => message),
  }
  const { parts, bytes: total } = encodeCommand({ node: 1, incarnation: 1, sequence: 1, sentAtMs: 0 }, command)
  const body = new Uint8Array(total)
  const keysAt: number[] = []
  let at = 0
  parts.forEach((part, i) => {
    body.set(part, at)
    at += part.length
    // The key stands 56 bytes before the end of each header, which is an even part.
    if (i % 2 === 0 && hasKeys) keysAt.push(at - 56)
  })
  return { body, keysAt }
}

/** Entries a second of processor time. */
function measure(messages: number, hasKeys: boolean): number {
  const machine = new StateMachine({ index: new MemoryQueueIndex() })
  const { body, keysAt } = sendTemplate(messages, hasKeys)
  const view = new DataView(body.buffer)
  let index = 0
  let wallMs = 1_700_000_000_000
  const create = encodeCommand(
    { node: 2, incarnation: 1, sequence: 1, sentAtMs: wallMs },
    { kind: 'createTopic', topic: 'bench', type: 'normal', queueCount: 8 },
  )
  machine.apply({ index: ++index, term: 1, kind: entryKinds.data, wallMs, body: create.parts[0] ?? new Uint8Array(0) })
  const run = (entries: number) => {
    for (let i = 0; i < entries; i++) {
      index++
      // 10 000 messages a second of cluster time, which fills the window as a busy broker does.
      if (index % 10 === 0) wallMs += messages
      view.setUint32(8, index, true)
      view.setUint32(16, wallMs % 0x1_0000_0000, true)
      view.setUint32(20, Math.floor(wallMs / 0x1_0000_0000), true)
      for (let j = 0; j < keysAt.length; j++) view.setUint32(keysAt[j] ?? 0, Math.imul(index * 32 + j, 0x9e3779b1), true)
      machine.apply({ index, term: 1, kind: entryKinds.data, wallMs, body })
    }
  }
  const entries = Math.ceil(measuredEntries / messages)
  run(Math.ceil(entries / 4))
  const before = process.cpuUsage()
  run(entries)
  const { user, system } = process.cpuUsage(before)
  return Math.round((entries * messages * 1e6) / (user + system))
}

export function runBench(): ApplyFigures {
  return {
    name: 'apply',
    sendsPerSecond: measure(1, true),
    sendsPerSecondPlain: measure(1, false),
    messagesPerSecondBatched: measure(32, true),
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) console.log(JSON.stringify(runBench()))
