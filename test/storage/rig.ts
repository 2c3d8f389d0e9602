/** For tests of storage: a log on a simulated disk, with a clock and a scheduler of its own, and bodies that name themselves. */
import { expect } from 'vitest'
import type { EntryBody, EntryKind, LogIndex, RecordBlock, Term } from '../../raft/index.ts'
import { logIndex } from '../../raft/index.ts'
import { crc32cOf } from '../../src/platform/bytes.ts'
import type { Disk } from '../../src/platform/disk.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { LogLimits } from '../../src/storage/log-limits.ts'
import { openLog } from '../../src/storage/open-log.ts'
import type { OpenedLog, OpenLogOptions } from '../../src/storage/open-log.ts'
import { MachineClock } from '../../chaos/sim/clock.ts'
import { SimulatedDisk } from '../../chaos/sim/disk.ts'
import { SimRandom } from '../../chaos/sim/random.ts'
import { Scheduler } from '../../chaos/sim/scheduler.ts'
import type { SimProcess } from '../../chaos/sim/scheduler.ts'

export const rigIdentity = { clusterName: 'test', nodeName: 'n1', nodeId: 1 }
export const rigDirectory = '/data'
/** Segments of 16 KiB, everything else in proportion. */
export const rigLimits: LogLimits = logLimits(16 * 1024, { slabBytes: 4096, tailBytesMax: 16 * 1024, tailBytesIdle: 4096, openFilesMax: 4 })

export class StorageRig {
  readonly scheduler = new Scheduler()
  readonly random: SimRandom
  readonly disk: SimulatedDisk
  readonly limits: LogLimits
  readonly #clock: MachineClock
  process: SimProcess | undefined

  constructor(seed: string | number, limits: LogLimits = rigLimits) {
    this.random = new SimRandom(`rig/${seed}`)
    this.limits = limits
    this.disk = new SimulatedDisk({ scheduler: this.scheduler, random: this.random.stream('disk') })
    this.#clock = new MachineClock(this.scheduler, { wallStartMs: 1_000_000, monotonicStartMs: 0, driftPpm: 0 })
  }

  /** A new process opens the directory; the one before is dead. */
  open(changes: Partial<OpenLogOptions> = {}): OpenedLog {
    return openLog({ ...this.openOptions(), limits: this.limits, ...changes })
  }

  openOptions(): {
    disk: Disk
    clock: ReturnType<MachineClock['forProcess']>
    random: SimRandom
    dataDirectory: string
    identity: typeof rigIdentity
  } {
    this.process?.kill()
    this.process = this.scheduler.newProcess('n1')
    const disk = this.disk.openProcess(this.process)
    return { disk, clock: this.#clock.forProcess(this.process), random: this.random, dataDirectory: rigDirectory, identity: rigIdentity }
  }

  /** Lets everything happen that is on its way. */
  settle(durationMs = 2_000): void {
    this.scheduler.runFor(durationMs)
  }

  /** Flushes and waits for it; throws its error. */
  flush(opened: OpenedLog): void {
    let result: { error: Error | undefined } | undefined
    opened.log.flush(error => (result = { error }))
    this.scheduler.runUntilTrue(() => result !== undefined, 60_000)
    if (result === undefined) throw new Error('the flush did not end')
    if (result.error !== undefined) throw result.error
  }

  cutPower(): void {
    this.process?.kill()
    this.disk.cutPower()
  }

  kill(): void {
    this.process?.kill()
    this.disk.kill()
  }
}

/** A body of `bytes` bytes that says which entry it belongs to. */
export function bodyOf(term: number, index: number, bytes = 40): Uint8Array {
  const body = new Uint8Array(bytes)
  const text = Buffer.from(`term ${term} index ${index} `)
  for (let i = 0; i < bytes; i++) body[i] = text[i % text.length] ?? 0
  return body
}

export function entryBody(...parts: readonly Uint8Array[]): EntryBody {
  return { parts, bytes: parts.reduce((sum, part) => sum + part.length, 0), crc: crc32cOf(parts) }
}

/** Appends `count` entries of a term, each with a body that names it. */
export function append(opened: OpenedLog, term: number, count: number, bytes = 40): void {
  for (let i = 0; i < count; i++) {
    const index = opened.log.lastId.index + 1
    const stamp = { term: term as Term, firstIndex: index as LogIndex, kind: 1 as EntryKind, wallMs: 1_000 + index }
    opened.log.appendOwn(stamp, [entryBody(bodyOf(term, index, bytes))])
  }
}

/** Entry `n` is as `append` made it. */
export function expectEntry(opened: OpenedLog, n: number, term: number, bytes: number): void {
  const entry = opened.log.entry(logIndex(n))
  expect({ ...entry, body: Buffer.from(entry.body).toString() }).toEqual({
    index: n,
    term,
    kind: 1,
    wallMs: 1_000 + n,
    body: Buffer.from(bodyOf(term, n, bytes)).toString(),
  })
}

/** The bytes of these records, as a peer would give them. */
export function recordsThrough({ log }: Pick<OpenedLog, 'log'>, from: number, through: number): Uint8Array {
  const pieces: Uint8Array[] = []
  for (let next = from; next <= through;) {
    const block = log.readBlock(logIndex(next), logIndex(through), Infinity)
    if (block === undefined) throw new Error(`entry ${next} is not in the log`)
    pieces.push(...block.buffers.map(bytes => bytes.slice()))
    next = block.lastIndex + 1
  }
  return Buffer.concat(pieces)
}

export function bytesOf(block: RecordBlock | undefined): Buffer {
  return Buffer.concat(block?.buffers ?? [])
}

/** The segments on the disk, or the sidecars. */
export function logFiles(rig: StorageRig, suffix = '.log'): readonly string[] {
  return rig.disk.files().filter(path => path.endsWith(suffix))
}
