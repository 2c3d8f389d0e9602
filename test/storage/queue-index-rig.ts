/** For tests of the queue index: a directory of its own on the real disk for each test, small chunks, and rows that name themselves. */
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { realDisk } from '../../src/platform/disk.ts'
import { openQueueIndex } from '../../src/storage/queue-index.ts'
import type { QueueIndexFiles, QueueIndexLimits } from '../../src/storage/queue-index.ts'
import type { RowSlot } from '../../src/storage/queue-rows.ts'

export const smallChunks: Partial<QueueIndexLimits> = { chunkRowsMax: 1_000, cacheBytesMax: 64 * 1024, openFilesMax: 2 }

export interface QueueIndexRig {
  /** Of the test that runs. */
  readonly directory: string
  readonly open: (appliedIndex: number, limits?: Partial<QueueIndexLimits>) => QueueIndexFiles
  /** Of the files, sorted. */
  readonly names: () => string[]
  /** Flips a bit of a file in place. */
  readonly spoil: (name: string, position?: number) => void
}

/** To be called once in a file, outside of its tests. */
export function queueIndexRig(): QueueIndexRig {
  let directory = ''
  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'queue-index-'))
  })
  afterEach(() => {
    fs.rmSync(directory, { recursive: true, force: true })
  })
  return {
    get directory() {
      return directory
    },
    open(appliedIndex, limits = smallChunks) {
      const opened = openQueueIndex(realDisk, directory, { appliedIndex, limits })
      if (opened.kind === 'damaged') throw new Error(opened.reason)
      return opened.index
    },
    names: () => fs.readdirSync(directory).sort(),
    spoil(name, position = 100) {
      const file = path.join(directory, name)
      const bytes = fs.readFileSync(file)
      bytes[position] = (bytes[position] ?? 0) ^ 4
      const handle = fs.openSync(file, 'r+')
      fs.writeSync(handle, bytes, 0, bytes.length, 0)
      fs.closeSync(handle)
    },
  }
}

export function slotOf(n: number): RowSlot {
  return {
    logIndex: n * 7 + 1,
    ordinal: n % 32,
    tagHash: (n * 2_654_435_761) >>> 0,
    messageGroup: n % 3 === 0 ? { low: 0, high: 0 } : { low: n >>> 0, high: 0xffff_ffff - n },
    storedAtMs: 1_790_000_000_000 + n,
    queueKiB: (n * 3) >>> 0,
  }
}

export function persist(index: QueueIndexFiles, throughIndex: number, logBytes = 0): Promise<void> {
  return new Promise((resolve, reject) => {
    index.persist({ throughIndex, logBytes }, error => (error === undefined ? resolve() : reject(error)))
  })
}

/** Persists nothing new until nothing is left to be sealed, as later checkpoints would. */
export async function settle(index: QueueIndexFiles, throughIndex: number): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await persist(index, throughIndex)
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** Persists nothing new until so many chunks are sealed. */
export async function sealed(index: QueueIndexFiles, throughIndex: number, chunks: number): Promise<void> {
  while (index.status().sealedChunks < chunks) await persist(index, throughIndex)
}

const queues = [
  { topicId: 1, queueId: 0 },
  { topicId: 1, queueId: 3 },
  { topicId: 9, queueId: 1 },
]

/** Appends rows `from` to `to` − 1 round robin over three queues, with a checkpoint after each `step`; row n is slotOf(n) at offset ⌊n / 3⌋. */
export async function fill(index: QueueIndexFiles, from: number, to: number, step: number): Promise<void> {
  for (let n = from; n < to; n++) {
    const queue = queues[n % 3]
    if (queue !== undefined) index.append(queue.topicId, queue.queueId, Math.floor(n / 3), slotOf(n))
    if ((n + 1) % step === 0) await persist(index, n + 1)
  }
}

export function expectRows(index: QueueIndexFiles, from: number, to: number): void {
  for (let n = from; n < to; n++) {
    const queue = queues[n % 3]
    if (queue !== undefined) expect(index.read(queue.topicId, queue.queueId, Math.floor(n / 3))).toEqual(slotOf(n))
  }
}
