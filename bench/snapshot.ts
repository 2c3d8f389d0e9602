/**
 * How long does apply stand still while a snapshot is taken? A store on disk holds so much state; a state machine applies sends at a steady rate, and its
 * checkpoints go into the same store, as in a node. First while a snapshot of everything is written, then for as long again with nothing else going on:
 * what the machine itself holds up is in both. Then a second one, which takes the place of the first. Reported of each part: the longest time between two
 * turns of the loop, beyond the pause between turns, how many were longer than ten milliseconds, and the longest time that this thread itself ran between
 * two turns: the rest it waited for a processor, which is the machine's doing (Linux tells it; elsewhere the two are one).
 *
 *     npm run bench:snapshot -- [--megabytes 1024] [--rate 2000] [--directory .] [-o json]
 *
 * All that it writes is removed at the end.
 */
import { randomFillSync } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { realDisk } from '../src/platform/disk.ts'
import { encodeCommand } from '../src/state/command-codec.ts'
import type { Command, SendMessage } from '../src/state/command.ts'
import { entryKinds, StateMachine } from '../src/state/machine.ts'
import { MemoryQueueIndex } from '../src/state/memory-queue-index.ts'
import { removeOlder, takeSnapshot } from '../src/storage/snapshot/take-snapshot.ts'
import { openStateStore, type StateStore } from '../src/storage/state-store.ts'

const MB = 1e6
const turnMs = 1
const checkpointEveryMs = 300
const warmMs = 5_000
const longMs = 10
const schedule = '/proc/self/schedstat'
const tellsRunTime = existsSync(schedule)
const valueBytes = 100
const keyBytes = 12
const rowsPerSave = 20_000

export interface SnapshotReport {
  readonly kind: 'snapshot'
  readonly stateMegabytes: number
  readonly rows: number
  readonly appliedPerSecond: number
  readonly takenSeconds: number
  /** While the snapshot was taken. */
  readonly snapshot: Pauses
  /** For as long afterwards, while nothing else went on. */
  readonly quiet: Pauses
  /** While a second one was taken, in whose place the first was removed. */
  readonly second: Pauses
}

interface Pauses {
  readonly longestMs: number
  /** Of which this thread held a processor. */
  readonly longestOwnMs: number
  /** Longer than ten milliseconds. */
  readonly long: number
}

const message: SendMessage = {
  dedupeKey: undefined,
  fingerprint: { low: 1, high: 1 },
  tagHash: 0,
  bodyMd5: new Uint8Array(16),
  systemPropertiesStart: 0,
  systemPropertiesEnd: 0,
  bytes: new Uint8Array(1_024),
}

const noPauses: Pauses = { longestMs: 0, longestOwnMs: 0, long: 0 }

/** How long this thread has held a processor; the monotonic time where the system does not tell. */
function ranMs(): number {
  return tellsRunTime ? Number(readFileSync(schedule, 'utf8').split(' ')[0]) / 1e6 : performance.now()
}

/** Applies sends at a rate, saves what they changed, and remembers the longest time that it was kept from it. */
class Node {
  readonly #machine = new StateMachine({ index: new MemoryQueueIndex() })
  readonly #store: StateStore
  readonly #perSecond: number
  #number: number
  #index = 0
  #isSaving = false
  #timer: NodeJS.Timeout | undefined
  #savedMs = 0
  #pauses: Pauses = noPauses
  applied = 0

  constructor(store: StateStore, lastNumber: number, perSecond: number) {
    this.#store = store
    this.#number = lastNumber
    this.#perSecond = perSecond
    this.#apply({ kind: 'createTopic', topic: 'bench', type: 'normal', queueCount: 8 })
  }

  get index(): number {
    return this.#index
  }

  /** Since the last call. */
  pauses(): Pauses {
    const pauses = this.#pauses
    this.#pauses = noPauses
    return pauses
  }

  start(): void {
    const beganMs = performance.now()
    let lastMs = beganMs
    let lastRanMs = ranMs()
    const turn = (): void => {
      const nowMs = performance.now()
      const pauseMs = nowMs - lastMs - turnMs
      const nowRanMs = ranMs()
      const { longestMs, longestOwnMs, long } = this.#pauses
      this.#pauses = {
        longestMs: Math.max(longestMs, pauseMs),
        longestOwnMs: Math.max(longestOwnMs, nowRanMs - lastRanMs),
        long: long + (pauseMs > longMs ? 1 : 0),
      }
      lastRanMs = nowRanMs
      lastMs = nowMs
      const due = Math.floor(((nowMs - beganMs) * this.#perSecond) / 1_000)
      while (this.applied < due) {
        this.applied++
        this.#apply({ kind: 'send', topic: 'bench', messageType: 1, messageGroup: undefined, messages: [message] })
      }
      if (nowMs - this.#savedMs >= checkpointEveryMs) this.#save()
      this.#timer = setTimeout(turn, turnMs)
    }
    turn()
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    while (this.#isSaving) await sleep(10)
  }

  /** Runs `begin` when no save is under way. */
  async whenSaved(begin: () => void): Promise<void> {
    while (this.#isSaving) await sleep(1)
    begin()
  }

  #apply(command: Command): void {
    const wallMs = Date.now()
    const { parts } = encodeCommand({ node: 1, incarnation: 1, sequence: ++this.#index, sentAtMs: wallMs }, command)
    this.#machine.apply({ index: this.#index, term: 1, kind: entryKinds.data, wallMs, body: Buffer.concat(parts) })
  }

  #save(): void {
    if (this.#isSaving) return
    this.#isSaving = true
    this.#store.save({ ...this.#machine.takeCheckpoint(), number: ++this.#number }, error => {
      if (error !== undefined) throw error
      this.#isSaving = false
      this.#savedMs = performance.now()
    })
  }
}

/** Rows of no meaning, under keys that the machine does not use. Returns the number of the last save. */
async function fill(store: StateStore, rows: number): Promise<number> {
  const digest = new StateMachine({ index: new MemoryQueueIndex() }).digest()
  let number = 0
  for (let first = 0; first < rows; first += rowsPerSave) {
    const count = Math.min(rowsPerSave, rows - first)
    // Not to be compressed away.
    const values = randomFillSync(new Uint8Array(count * valueBytes))
    const puts = Array.from({ length: count }, (_, i) => {
      const key = new Uint8Array(keyBytes).fill(0xff)
      new DataView(key.buffer).setUint32(keyBytes - 4, first + i)
      return { key, value: values.subarray(i * valueBytes, (i + 1) * valueBytes) }
    })
    await new Promise<void>((done, failed) => {
      const batch = { number: ++number, appliedIndex: number, digest, puts, deletes: [] }
      store.save(batch, error => (error === undefined ? done() : failed(error)))
    })
  }
  return number
}

function snapshotOf(store: StateStore, directory: string, node: Node): Promise<void> {
  const manifest = {
    format: 1 as const,
    term: 1,
    index: node.index,
    lastWallMs: Date.now(),
    digest: new StateMachine({ index: new MemoryQueueIndex() }).digest(),
    membership: '',
    files: [{ kind: 'state' as const, name: 'state', bytes: 0, tag: 'bench' }],
  }
  return new Promise((done, failed) => {
    void node.whenSaved(() =>
      takeSnapshot(realDisk, directory, { manifest, rows: store.rows(), copies: [] }, error => {
        if (error !== undefined) return failed(error)
        removeOlder(realDisk, directory, manifest.index, left => (left === undefined ? done() : failed(left)))
      }),
    )
  })
}

/** What the filling has left is none of the snapshot's doing: V8 would collect it in the middle of what is measured. */
function collect(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc()')
}

function sleep(ms: number): Promise<void> {
  return new Promise(done => setTimeout(done, ms))
}

async function measure(directory: string, megabytes: number, perSecond: number): Promise<SnapshotReport> {
  const { store } = await openStateStore(realDisk, join(directory, 'state'))
  const rows = Math.ceil((megabytes * MB) / (valueBytes + keyBytes))
  const lastNumber = await fill(store, rows)
  collect()
  console.error('the store is filled')
  const node = new Node(store, lastNumber, perSecond)
  node.start()
  await sleep(warmMs)
  node.pauses()
  const [appliedBefore, beganMs] = [node.applied, performance.now()]
  realDisk.makeDirectory(join(directory, 'snapshots'))
  await snapshotOf(store, join(directory, 'snapshots'), node)
  const takenSeconds = (performance.now() - beganMs) / 1_000
  const snapshot = node.pauses()
  const appliedPerSecond = Math.round((node.applied - appliedBefore) / takenSeconds)
  await sleep(takenSeconds * 1_000)
  const quiet = node.pauses()
  await snapshotOf(store, join(directory, 'snapshots'), node)
  const second = node.pauses()
  await node.stop()
  await store.close()
  return { kind: 'snapshot', stateMegabytes: megabytes, rows, appliedPerSecond, takenSeconds, snapshot, quiet, second }
}

function shown({ longestMs, longestOwnMs, long }: Pauses): string {
  return `longest pause ${longestMs.toFixed(1)} ms, ${long} above ${longMs} ms, of our own doing at most ${longestOwnMs.toFixed(1)} ms`
}

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '1024' },
    rate: { type: 'string', default: '2000' },
    directory: { type: 'string', default: '.' },
    output: { type: 'string', short: 'o', default: 'text' },
  },
})
const directory = mkdtempSync(join(values.directory, 'bench-snapshot-'))
try {
  const report = await measure(directory, Number(values.megabytes), Number(values.rate))
  if (values.output === 'json') console.log(JSON.stringify(report))
  else
    console.log(
      `${report.stateMegabytes} MB of state in ${report.rows} rows, ${report.appliedPerSecond} entries a second applied meanwhile: snapshot in ` +
        `${report.takenSeconds.toFixed(1)} s, ${shown(report.snapshot)}; as long without it: ${shown(report.quiet)}; a second one: ${shown(report.second)}`,
    )
} finally {
  rmSync(directory, { recursive: true, force: true })
}
