/**
 * One bit flipped anywhere in one node's files, at rest: the group starts, every message that was acknowledged is on every node, the logs hold the same
 * bytes, the states have the same digest, and where the bit meant something the node says so (docs/disks.md). On real files, LevelDB's among them.
 *
 *     RAFTMQ_BIT_FLIPS=300 npx vitest run test/bit-flips.test.ts      more of them; RAFTMQ_BIT_FLIP_SEED names the first seed
 */
import fc from 'fast-check'
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { viewOf } from '../src/platform/bytes.ts'
import { sealedHeaderBytes } from '../src/storage/sealed-chunk.ts'
import { segmentHeaderBytes } from '../src/storage/segment.ts'
import { until } from './support/cluster.ts'
import { FileGroup, freePorts, memberNumbers, type MemberNumber } from './support/file-group.ts'

const runs = Number(process.env.RAFTMQ_BIT_FLIPS ?? 6)
/** The same flips in every ordinary run; others in each longer one. */
const named = process.env.RAFTMQ_BIT_FLIP_SEED ?? (process.env.RAFTMQ_BIT_FLIPS === undefined ? '1' : undefined)
const seed = named === undefined ? {} : { seed: Number(named) }

interface Filled {
  readonly directory: string
  /** Body of every message, by queue and offset. */
  readonly messages: ReadonlyMap<string, string>
  /** What each node says when it starts on undamaged files. */
  readonly firstIndex: number
}

const root = mkdtempSync(join(tmpdir(), 'bit-flips-'))
let ports: readonly number[] = []

async function fill(name: string, retainedBytes: number | undefined): Promise<Filled> {
  const directory = join(root, name)
  const group = new FileGroup({ directory, ports, ...(retainedBytes === undefined ? {} : { retainedBytes }) })
  const texts = Array.from({ length: 400 }, (_, i) => `${name} message ${i} `.padEnd(900, `${i} `))
  await group.startAll()
  await group.createTopic()
  // In two lives, so that there are sidecars, checkpoints and terms of both.
  await group.send(texts.slice(0, 200))
  await group.stopAll()
  await group.startAll()
  for (const number of memberNumbers) expect(group.said.get(number)?.filter(sentence => !isOrdinary(sentence))).toEqual([])
  await group.send(texts.slice(200))
  const firstIndex = (): number => Math.min(...memberNumbers.map(number => group.node(number)?.log.firstIndex ?? 1))
  // What two checkpoints do not need is deleted: there is one for each that has something new.
  if (retainedBytes !== undefined)
    await until(async () => {
      await group.send([`${name} goes on`])
      return firstIndex() > 100
    }, 'a log that was cut')
  await untilEqual(group)
  const messages = group.messages(1) ?? new Map<string, string>()
  const bodies = [...messages.values()].join('')
  if (retainedBytes === undefined) for (const text of texts) expect(bodies).toContain(text)
  const filled = { directory, messages, firstIndex: firstIndex() }
  await group.stopAll()
  return filled
}

/** All have applied the same, of the same log, to the same state. */
async function untilEqual(group: FileGroup): Promise<void> {
  await until(() => {
    const nodes = memberNumbers.map(number => group.node(number))
    const first = nodes[0]?.machine.appliedIndex ?? 0
    if (first === 0 || nodes.some(node => node === undefined || node.machine.appliedIndex !== first)) return false
    const digests = nodes.map(node => JSON.stringify(node?.machine.digest()))
    if (new Set(digests).size > 1) throw new Error(`the states differ at entry ${first}: ${digests.join(' ')}`)
    const from = Math.max(...nodes.map(node => node?.log.firstIndex ?? 1))
    const logs = memberNumbers.map(number => group.logBytes(number, from, first))
    if (logs.some(log => log === undefined)) return false
    if (logs.some(log => Buffer.compare(log ?? Buffer.of(), logs[0] ?? Buffer.of()) !== 0)) throw new Error('the logs differ')
    return true
  }, 'three equal nodes')
}

const partsPerWhole = 1_000_000

interface Flip {
  readonly victim: MemberNumber
  /** Which file, which byte of it: in millionths of all. */
  readonly file: number
  readonly place: number
  readonly bit: number
}

const anyFlip: fc.Arbitrary<Flip> = fc.record({
  victim: fc.constantFrom(...memberNumbers),
  file: fc.nat(partsPerWhole - 1),
  place: fc.nat(partsPerWhole - 1),
  bit: fc.nat(7),
})

function flipBit(path: string, position: number, bit: number): void {
  const file = openSync(path, 'r+')
  const byte = new Uint8Array(1)
  readSync(file, byte, 0, 1, position)
  byte[0] = (byte[0] ?? 0) ^ (1 << bit)
  writeSync(file, byte, 0, 1, position)
  closeSync(file)
}

/** Whether the bit says something that nothing else makes meaningless. LevelDB's files hold much that is outdated: of them nobody can say. */
function isTold(path: string, position: number): boolean {
  if (path.startsWith('state/') || path.startsWith('snapshots/') || path.startsWith('incoming/')) return false
  if (path === 'hard-state') return position % 4096 < 80
  // Of a segment's header two copies stand in 512 bytes, with nothing between them.
  if (path.endsWith('.log')) return position >= segmentHeaderBytes && position < recordsEnd(path)
  // Between the head of a sealed chunk and its rows there are zeros.
  if (path.endsWith('.sealed')) return position < sealedHeaderBytes || position >= 4096
  // A last block that does not check looks like one that a power cut tore: it is made again from the log, without a word.
  if (path.endsWith('.open')) return position < openEnd - openTailBytes
  // Two copies with zeros behind them.
  if (path === 'log/base') return position % 4096 < 72
  return !path.includes('prepared')
}

function isBelow(path: string, firstIndex: number): boolean {
  const number = /^log\/(\d{20})\./.exec(path)?.[1]
  return number !== undefined && Number(number) < firstIndex
}

/** Of an open chunk the last rows stand within so much. */
const openTailBytes = 4096
let openEnd = 0

let recordsEnd: (path: string) => number = () => 0

async function survives(filled: Filled, flip: Flip): Promise<void> {
  const group = new FileGroup({ directory: join(root, 'group'), ports })
  group.copyFrom(filled.directory)
  const paths = group.filesOf(flip.victim)
  const path = paths[Math.floor((flip.file * paths.length) / partsPerWhole)] ?? ''
  const full = join(group.directoryOf(flip.victim), path)
  const position = Math.floor((flip.place * statSync(full).size) / partsPerWhole)
  recordsEnd = () => endOfRecords(full)
  openEnd = statSync(full).size
  const told = isTold(path, position)
  flipBit(full, position, flip.bit)
  const victim = flip.victim
  try {
    await group.startAll()
    await group.send([`after the flip ${position} of ${path}`.padEnd(300)])
    await untilEqual(group)
    // All is read, as the scrubber would; what stands in a rotten place comes a little later.
    await until(() => group.messages(victim) !== undefined && group.allLogBytes(victim) !== undefined, 'everything of the damaged node')
    await untilEqual(group)
    const found = group.messages(victim)
    for (const [place, body] of filled.messages) if (found?.get(place) !== body) throw new Error(`${place} is not what was acknowledged`)
    const said = group.said.get(victim)?.filter(sentence => !isOrdinary(sentence)) ?? []
    // What was to go has gone, or is about to, unread: a segment below the log's first entry, and rows of messages that are given up.
    const isGivenUp = filled.firstIndex > 1 && (isBelow(path, group.node(victim)?.log.firstIndex ?? 1) || path.endsWith('.sealed'))
    if (told && said.length === 0 && existsSync(full) && !isGivenUp) throw new Error('it was not told')
    if (said.some(sentence => sentence.startsWith('stops'))) throw new Error('the node stopped')
    // What was mended stays mended.
    await group.stopAll()
    await group.startAll()
    await untilEqual(group)
    const again = group.said.get(victim)?.filter(sentence => !isOrdinary(sentence)) ?? []
    if (again.length > 0) throw new Error(`it was told again: ${again.join('; ')}`)
  } catch (error) {
    const said = group.said.get(victim)?.join('\n  ') ?? ''
    throw new Error(`bit ${flip.bit} of byte ${position} of n${victim}/${path}: ${(error as Error).message}\n  ${said}`, { cause: error })
  } finally {
    await group.stopAll()
  }
}

/** What a node also says when all is well. */
function isOrdinary(sentence: string): boolean {
  return /^a snapshot at entry \d+ is there$/.test(sentence)
}

/** Behind the last record of a segment, by the lengths in the records. */
function endOfRecords(path: string): number {
  const file = openSync(path, 'r')
  const bytes = new Uint8Array(statSync(path).size)
  readSync(file, bytes, 0, bytes.length, 0)
  closeSync(file)
  const view = viewOf(bytes)
  let position = 512
  while (position + 48 <= bytes.length && view.getUint32(position + 40, true) !== 0) position += 48 + view.getUint32(position, true)
  return position
}

beforeAll(async () => {
  ports = await freePorts(3)
})

afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('one bit flipped anywhere in one node’s files loses nothing and is reported', () => {
  it('of a whole log', { timeout: 20_000 + runs * 20_000 }, async () => {
    const filled = await fill('whole', undefined)
    await fc.assert(
      fc.asyncProperty(anyFlip, flip => survives(filled, flip)),
      { numRuns: runs, endOnFailure: true, unbiased: true, ...seed },
    )
  })

  it('of a log whose beginning was deleted', { timeout: 20_000 + runs * 20_000 }, async () => {
    const filled = await fill('cut', 150_000)
    await fc.assert(
      fc.asyncProperty(anyFlip, flip => survives(filled, flip)),
      { numRuns: runs, endOnFailure: true, unbiased: true, ...seed },
    )
  })
})
