/**
 * The reference replica: a state machine that gets the committed log, each entry once, as soon as any node calls it committed. It has no disk, no
 * network, never crashes and never loads a checkpoint, so it shows what every replica must come to; its results are the history that the checkers judge.
 */
import { assert, mustExist } from '../src/platform/assert.ts'
import { crc32c } from '../src/platform/bytes.ts'
import { decodeCommand } from '../src/state/command-codec.ts'
import type { Digest } from '../src/state/command.ts'
import type { QueueId, QueueOffset, TopicId } from '../src/state/ids.ts'
import type { StateLimits } from '../src/state/limits.ts'
import { StateMachine } from '../src/state/machine.ts'
import type { QueueIndex, QueueSlot } from '../src/state/store.ts'
import { EntryKind, decodeMembership, type Membership, type StoredEntry } from '../raft/index.ts'
import type { CommittedRecord } from './checkers/checker.ts'

export interface ReferenceEntry {
  readonly term: number
  readonly kind: StoredEntry['kind']
  readonly wallMs: number
  readonly crc: number
  readonly body: Uint8Array
  readonly firstNode: number
  /** Term of the node that first called it committed. */
  readonly committedInTerm: number
}

export class ReferenceReplica {
  readonly index = new MemoryQueueIndex()
  readonly machine: StateMachine
  readonly #entries: ReferenceEntry[] = []
  readonly #digests: Digest[] = []

  constructor(limits: StateLimits) {
    this.machine = new StateMachine({ index: this.index, limits })
  }

  get commitIndex(): number {
    return this.#entries.length
  }

  /** Cluster time of the last committed entry. */
  get wallMs(): number {
    return this.#entries.at(-1)?.wallMs ?? 0
  }

  entry(index: number): ReferenceEntry {
    return mustExist(this.#entries[index - 1], 'reference-entry', index, this.#entries.length)
  }

  digestAt(index: number): Digest {
    return mustExist(this.#digests[index - 1], 'reference-digest', index, this.#digests.length)
  }

  /** Applies the next committed entry. */
  take(entry: StoredEntry, firstNode: number, committedInTerm: number): CommittedRecord {
    assert(entry.index === this.commitIndex + 1, 'reference-gap', entry.index, this.commitIndex)
    // Copied: the node's log only lends it.
    const body = entry.body.slice()
    this.#entries.push({ term: entry.term, kind: entry.kind, wallMs: entry.wallMs, crc: crc32c(body), body, firstNode, committedInTerm })
    const applied = this.machine.apply({ index: entry.index, term: entry.term, kind: entry.kind, wallMs: entry.wallMs, body })
    this.#digests.push(this.machine.digest())
    const decoded = entry.kind === EntryKind.data ? decodeCommand(body) : undefined
    assert(decoded?.ok !== false, 'reference-undecodable', entry.index)
    return {
      index: entry.index,
      term: entry.term,
      wallMs: entry.wallMs,
      command: decoded?.command,
      proposer: decoded?.envelope,
      membership: entry.kind === EntryKind.config ? mustDecode(body) : undefined,
      result: applied?.result,
    }
  }
}

function mustDecode(body: Uint8Array): Membership {
  const decoded = decodeMembership(body)
  assert(decoded.kind === 'ok', 'reference-membership')
  return decoded.membership
}

/** The queue index as a list in memory, with no chunks and no files. */
export class MemoryQueueIndex implements QueueIndex {
  readonly #queues = new Map<string, QueueSlot[]>()

  append(topicId: TopicId, queueId: QueueId, offset: QueueOffset, slot: QueueSlot): void {
    const key = `${topicId}/${queueId}`
    let rows = this.#queues.get(key)
    if (rows === undefined) {
      rows = []
      this.#queues.set(key, rows)
    }
    assert(rows.length === offset, 'memory-index-gap', rows.length, offset)
    rows.push({ ...slot })
  }

  read(topicId: TopicId, queueId: QueueId, offset: QueueOffset): QueueSlot {
    return mustExist(this.#queues.get(`${topicId}/${queueId}`)?.[offset], 'memory-index-row', queueId, offset)
  }

  dropTopic(topicId: TopicId): void {
    for (const key of this.#queues.keys()) if (key.startsWith(`${topicId}/`)) this.#queues.delete(key)
  }

  /** Rows of one queue; 0 when there is no such queue. */
  length(topicId: TopicId, queueId: QueueId): number {
    return this.#queues.get(`${topicId}/${queueId}`)?.length ?? 0
  }
}
