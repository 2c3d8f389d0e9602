/**
 * How fast entries become records: header, chain, copy into a slab, plan of a flush. The log is the real one over a disk that takes everything and
 * keeps nothing. A body's checksum is made where the body is made (a gateway), so it is measured apart. Run: npx tsx bench/record-encode.ts
 */
import { pathToFileURL } from 'node:url'
import type { EntryBody, EntryKind, LogIndex, Term } from '../raft/index.ts'
import { crc32c, crc32cOf, viewOf } from '../src/platform/bytes.ts'
import { realClock } from '../src/platform/clock.ts'
import type { Disk, DiskCallback, DiskFile } from '../src/platform/disk.ts'
import { realRandom } from '../src/platform/random.ts'
import { openLog } from '../src/storage/open-log.ts'
import type { OpenedLog } from '../src/storage/open-log.ts'
import { recordHeaderBytes, writeRecordHeader } from '../src/storage/record.ts'

export interface RecordEncodeResult {
  readonly name: 'record-encode'
  readonly bodyBytes: number
  /** Header, chain, copy and flush plan of one entry, gathered 64 to a flush. */
  readonly appendsPerSecond: number
  /** The same through a follower's check and copy of a leader's block. */
  readonly followsPerSecond: number
  readonly headersPerSecond: number
  readonly bodyChecksPerSecond: number
}

const durationMs = 400
const entriesPerFlush = 64

export function runBench(bodyBytes = 1024): RecordEncodeResult {
  const half = new Uint8Array(bodyBytes / 2).fill(7)
  const body: EntryBody = { parts: [half, half], bytes: bodyBytes, crc: crc32cOf([half, half]) }
  const whole = new Uint8Array(bodyBytes).fill(7)
  const header = new Uint8Array(recordHeaderBytes)
  const view = viewOf(header)
  const fields = { length: bodyBytes, kind: 1 as EntryKind, term: 3, index: 9, wallMs: 1_700_000_000_000, prevCrc: 5, bodyCrc: body.crc }
  const leader = openOverNothing()
  const source = openOverNothing()
  const follower = openOverNothing()
  appendMany(source, body)
  return {
    name: 'record-encode',
    bodyBytes,
    appendsPerSecond: entriesPerFlush * perSecond(() => appendMany(leader, body)),
    followsPerSecond: entriesPerFlush * perSecond(() => follow(source, follower)),
    headersPerSecond: perSecond(() => void writeRecordHeader(header, view, 0, fields)),
    bodyChecksPerSecond: perSecond(() => void crc32c(whole)),
  }
}

interface BenchLog extends OpenedLog {
  /** Ends the writes under way. */
  readonly drain: () => void
}

function openOverNothing(): BenchLog {
  const waiting: (() => void)[] = []
  const answer = (done: DiskCallback): void => void waiting.push(() => done(undefined))
  const file: DiskFile = {
    path: 'nothing',
    sizeBytes: () => 0,
    readSync: () => 0,
    writeSync: () => undefined,
    syncSync: () => undefined,
    truncateSync: () => undefined,
    writeAndSync: (_position, _buffers, done) => answer(done),
    write: (_position, _buffers, done) => answer(done),
    sync: answer,
    close: () => undefined,
  }
  const disk: Disk = {
    list: () => [],
    exists: () => false,
    makeDirectory: () => undefined,
    syncDirectory: () => undefined,
    open: () => file,
    rename: () => undefined,
    remove: () => undefined,
    removeLater: (_path, done) => answer(done),
    space: () => ({ totalBytes: 2 ** 40, freeBytes: 2 ** 40 }),
  }
  const identity = { clusterName: 'bench', nodeName: 'n1', nodeId: 1 }
  const opened = openLog({ disk, clock: realClock, random: realRandom, dataDirectory: '/bench', identity })
  return {
    ...opened,
    drain: () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) next()
    },
  }
}

function flush(opened: BenchLog): void {
  opened.log.flush(error => {
    if (error !== undefined) throw error
  })
  opened.drain()
}

function appendMany(opened: BenchLog, body: EntryBody): void {
  for (let i = 0; i < entriesPerFlush; i++) {
    const firstIndex = (opened.log.lastId.index + 1) as LogIndex
    opened.log.appendOwn({ term: 1 as Term, firstIndex, kind: 1, wallMs: 1_700_000_000_000 }, [body])
  }
  flush(opened)
}

/** The follower takes the same block again and again, each time from the beginning. */
function follow(source: BenchLog, follower: BenchLog): void {
  const block = source.log.readBlock(1 as LogIndex, source.log.lastId.index, 16 * 1024 * 1024)
  if (block === undefined) throw new Error('the source is empty')
  const checked = follower.log.checkBlock(block.prev, Buffer.concat(block.buffers))
  if (checked.kind !== 'ok') throw new Error(checked.problem)
  follower.log.truncateFrom(1 as LogIndex)
  follower.log.appendBlock(checked.block, 1 as LogIndex)
}

function perSecond(work: () => void): number {
  for (let i = 0; i < 200; i++) work()
  const startMs = performance.now()
  let count = 0
  while (performance.now() - startMs < durationMs) {
    for (let i = 0; i < 10; i++) work()
    count += 10
  }
  return Math.round((count * 1_000) / (performance.now() - startMs))
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const bodyBytes of [128, 1024, 65_536]) console.log(JSON.stringify(runBench(bodyBytes)))
}
