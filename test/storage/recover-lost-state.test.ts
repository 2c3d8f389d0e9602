/** `raftmq recover` on a node whose log was cut: it is as good as the state beside it, which a start must take, for there is nobody left to give another. */
import { describe, expect, it } from 'vitest'
import type { LogIndex } from '../../raft/index.ts'
import { openState } from '../../src/node/open-state.ts'
import { planRecovery, type RecoverOptions } from '../../src/node/recover.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { crc32c } from '../../src/platform/bytes.ts'
import { StateMachine } from '../../src/state/machine.ts'
import type { LoadedCheckpoint } from '../../src/state/store.ts'
import { encodeBlockHeader, encodeOpenHeader } from '../../src/storage/open-chunk.ts'
import { noteParted } from '../../src/storage/parted.ts'
import { openQueueIndex } from '../../src/storage/queue-index.ts'
import { checkpointAt, close, mustPlan, optionsOf, refusalOf, stoppedNode, three } from './recover-rig.ts'
import { rigDirectory, type StorageRig } from './rig.ts'

const lastIndex = 601
const directory = `${rigDirectory}/queue-index`
const firstChunk = `${directory}/000000000001.open`

interface CutNode {
  readonly rig: StorageRig
  readonly firstIndex: number
  readonly options: RecoverOptions
}

/** A stopped node with a log that does not begin with entry 1, and state and queue index at its end. */
function cutNode(seed: string): CutNode {
  const rig = stoppedNode(seed, three, lastIndex - 1)
  const opened = rig.open()
  opened.log.trimTo(400 as LogIndex)
  rig.settle()
  const { firstIndex } = opened.log
  close(rig, opened)
  const options = optionsOf(rig, emptyState())
  const index = openQueueIndex(options.disk, directory, { appliedIndex: 0 })
  if (index.kind === 'damaged') throw new Error(index.reason)
  index.index.persist({ throughIndex: lastIndex, logBytes: 1 }, () => undefined)
  rig.settle()
  index.index.close()
  return { rig, firstIndex, options }
}

/** At the end of the log, with rows that give its digest. */
function emptyState(): LoadedCheckpoint {
  const none = (): never => {
    throw new Error('there is no message')
  }
  const { digest, puts } = new StateMachine({ index: { append: none, read: none, dropTopic: none } }).takeCheckpoint()
  return { number: 1, appliedIndex: lastIndex, digest, rows: puts }
}

/** As the node would, alone in its group. */
function start({ firstIndex }: CutNode, { disk, checkpoint }: RecoverOptions): { readonly isLost: boolean } {
  const opened = openState({ disk, directory, loaded: checkpoint, firstIndex, lastIndex, hasPeers: () => false, rotFound: () => undefined })
  opened.index.close()
  return opened
}

function filesOf({ rig }: CutNode): readonly (readonly [string, string])[] {
  return rig.disk.files().map(path => [path, Buffer.from(mustExist(rig.disk.contentOf(path), path)).toString('hex')])
}

function writeFirstChunk({ options: { disk } }: CutNode, bytes: Uint8Array): void {
  disk.remove(firstChunk)
  const file = disk.open(firstChunk, { create: true })
  file.writeSync(bytes, 0)
  file.close()
}

function chunkBehind(afterIndex: number): Uint8Array {
  const header = encodeOpenHeader(1, afterIndex)
  const block = encodeBlockHeader({ throughIndex: lastIndex, logBytes: 1 }, crc32c(header.subarray(0, 24)), new Uint8Array(0))
  return Buffer.concat([header, block])
}

interface Harm {
  readonly harm?: (node: CutNode) => void
  readonly checkpoint?: LoadedCheckpoint | undefined
  readonly why: RegExp
}

const noState: [string, Harm][] = [
  ['is not there', { checkpoint: undefined, why: /no checkpoint/ }],
  ['does not give the digest of its marker', { checkpoint: { ...checkpointAt(lastIndex), digest: aDigest() }, why: /checkpoint 1: / }],
  ['has lost its queue index', { harm: ({ options }) => options.disk.remove(firstChunk), why: /queue index .*: it reaches entry 0/ }],
  [
    'has a queue index that begins too late',
    { harm: node => writeFirstChunk(node, chunkBehind(300)), why: /the queue index begins behind entry 300/ },
  ],
  [
    'is older than the beginning of the log',
    { checkpoint: { ...emptyState(), appliedIndex: 200 }, why: /the checkpoint ends with entry 200, the log begins with/ },
  ],
]

function aDigest(): LoadedCheckpoint['digest'] {
  return { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } }
}

describe('recover of a node whose log was cut', () => {
  it('goes by the state that a start would take, and looks without changing anything', () => {
    const node = cutNode('whole')
    expect(node.firstIndex).toBeGreaterThan(1)
    // What a start would tidy away.
    node.options.disk.open(`${directory}/000000000001.sealed.new`, { create: true }).close()
    const before = filesOf(node)
    expect(mustPlan(node.options)).toMatchObject({
      firstIndex: node.firstIndex,
      lastIndex,
      remarks: [expect.stringContaining('no leader')],
    })
    expect(filesOf(node)).toEqual(before)
    expect(start(node, node.options).isLost).toBe(false)
  })

  it.each(noState)('is refused when its state %s, as its start would be, and nothing is changed', (what, { harm, why, ...changes }) => {
    const node = cutNode(what)
    harm?.(node)
    const options = { ...node.options, ...changes }
    const before = filesOf(node)
    const problem = refusalOf(options)
    expect(filesOf(node)).toEqual(before)
    expect(problem).toMatch(why)
    expect(problem).toMatch(/alone, n1 could not start; recover another survivor, or restore this directory from a backup$/)
    const sentence = problem.slice(0, problem.indexOf(': alone, n1'))
    expect(() => start(node, options)).toThrow(`${sentence}; restore the directory from a backup`)
  })

  it('is refused when its state has parted from the others: no start takes it, however whole it is in itself', () => {
    const node = cutNode('parted')
    noteParted(node.options.disk, rigDirectory, 500)
    const before = filesOf(node)
    expect(refusalOf(node.options)).toMatch(/there is no usable state \(this node's state has parted from the others' by entry 500\)/)
    expect(filesOf(node)).toEqual(before)
  })
})

describe('recover of a node that has its whole log', () => {
  it('needs no state, and says of one that has parted that another survivor is the better choice', () => {
    const rig = stoppedNode('whole log', three, 20)
    expect(planRecovery(optionsOf(rig, { ...checkpointAt(9), digest: aDigest() })).kind).toBe('possible')
    const options = optionsOf(rig, checkpointAt(9))
    noteParted(options.disk, rigDirectory, 15)
    expect(mustPlan(options).remarks.at(-1)).toBe(
      "this node's state has parted from the others' by entry 15; its next start rebuilds it from the log, and stops if that parts too: another survivor is the better choice",
    )
  })
})
