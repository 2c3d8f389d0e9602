/**
 * The state's checkpoints in a simulated world: what LevelDB is to a real node. A machine has one CheckpointDisk, which outlives its processes;
 * each process opens it and gets a store that dies with it. A save becomes durable at an instant between its call and its completion, so a crash
 * in between leaves it whole or not at all, with nobody told. It may lose everything: a real store that fails its checks is thrown away too.
 */
import { assert } from '../../src/platform/assert.ts'
import type { CheckpointBatch, CheckpointStore, LoadedCheckpoint } from '../../src/state/store.ts'
import type { SimRandom } from './random.ts'
import type { Scheduler, SimEvent, SimProcess } from './scheduler.ts'

export interface CheckpointLatency {
  readonly msMin: number
  readonly msMax: number
}

const rowsPerRead = 64
const latencyByDefault: CheckpointLatency = { msMin: 0.5, msMax: 20 }

type Row = LoadedCheckpoint['rows'][number]

export class CheckpointDisk {
  readonly #scheduler: Scheduler
  readonly #random: SimRandom
  readonly #latency: CheckpointLatency
  #durable: { readonly last: Omit<LoadedCheckpoint, 'rows'>; readonly rows: Map<string, Row> } | undefined
  #underWay: SimEvent | undefined
  #failure: Error | undefined

  constructor(scheduler: Scheduler, random: SimRandom, latency: CheckpointLatency = latencyByDefault) {
    this.#scheduler = scheduler
    this.#random = random
    this.#latency = latency
  }

  /** What a process finds at its start, and the store for its own checkpoints. Rows come in the order of their keys. */
  open(process: SimProcess): { readonly store: CheckpointStore; readonly loaded: LoadedCheckpoint | undefined } {
    const held = this.#durable
    const rows = [...(held?.rows ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => copyOf(row))
    return {
      store: this.#storeFor(process, held?.last.number ?? 0),
      loaded: held === undefined ? undefined : { ...held.last, rows },
    }
  }

  /** Power is gone: a save that was under way is lost. (Without this call it may still become durable, as after kill -9.) */
  losePower(): void {
    if (this.#underWay !== undefined) this.#scheduler.cancel(this.#underWay)
    this.#underWay = undefined
  }

  /** Something is on the disk. */
  get hasDurable(): boolean {
    return this.#durable !== undefined
  }

  /** The next process finds an empty store. */
  loseEverything(): void {
    this.losePower()
    this.#durable = undefined
  }

  /** From now on every save fails. */
  fail(error: Error): void {
    this.#failure = error
  }

  #storeFor(process: SimProcess, lastNumber: number): CheckpointStore {
    let last = lastNumber
    let isSaving = false
    return {
      rows: () => {
        assert(!isSaving, 'rows-while-saving', process.name)
        let rest = [...(this.#durable?.rows ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
        return {
          next: done => {
            const rows = rest.slice(0, rowsPerRead)
            rest = rest.slice(rowsPerRead)
            this.#scheduler.schedule(this.#latency.msMin, () => done(undefined, rows.length === 0 ? undefined : rows), process)
          },
          close: () => undefined,
        }
      },
      save: (batch, done) => {
        assert(!isSaving, 'checkpoint-saving', process.name)
        assert(batch.number === 1 || batch.number === last + 1, 'checkpoint-number', batch.number, last)
        last = batch.number
        isSaving = true
        const owned = ownedCopy(batch)
        const failure = this.#failure
        const totalMs = this.#latency.msMin + this.#random.next() * (this.#latency.msMax - this.#latency.msMin)
        if (failure === undefined)
          this.#underWay = this.#scheduler.schedule(totalMs * this.#random.next(), () => {
            this.#underWay = undefined
            this.#commit(owned)
          })
        this.#scheduler.schedule(
          totalMs,
          () => {
            isSaving = false
            done(failure)
          },
          process,
        )
      },
    }
  }

  #commit(batch: CheckpointBatch): void {
    const rows = batch.number === 1 ? new Map<string, Row>() : (this.#durable?.rows ?? new Map<string, Row>())
    for (const row of batch.puts) rows.set(nameOf(row.key), row)
    for (const key of batch.deletes) rows.delete(nameOf(key))
    this.#durable = { last: { number: batch.number, appliedIndex: batch.appliedIndex, digest: batch.digest }, rows }
  }
}

/** A name that sorts as the key's bytes do. */
function nameOf(key: Uint8Array): string {
  return String.fromCharCode(...key)
}

function copyOf(row: Row): Row {
  return { key: row.key.slice(), value: row.value.slice() }
}

function ownedCopy(batch: CheckpointBatch): CheckpointBatch {
  return { ...batch, puts: batch.puts.map(copyOf), deletes: batch.deletes.map(key => key.slice()) }
}
