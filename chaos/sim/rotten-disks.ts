/** For tests of rot: the members of a group keep real logs, on simulated disks that a test may harm. */
import { expect } from 'vitest'
import { logIndex } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { viewOf } from '../../src/platform/bytes.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import { openLog, type OpenedLog } from '../../src/storage/open-log.ts'
import { recordBytes, recordHeaderBytes, recordIndex } from '../../src/storage/record.ts'
import { segmentHeaderBytes } from '../../src/storage/segment.ts'
import { SimulatedDisk, calmLatency } from './disk.ts'
import type { DiskMaker, GroupDisk, RaftGroup } from './raft-group.ts'
import type { SimRandom } from './random.ts'

export interface RottenDisk extends GroupDisk {
  readonly disk: SimulatedDisk
  readonly notes: string[]
  opened: OpenedLog | undefined
}

/** By node, in the order of their ids. */
export function rottenDisks(segmentBytes: number): { disks: RottenDisk[]; make: (maker: DiskMaker) => GroupDisk } {
  const disks: RottenDisk[] = []
  const make = ({ scheduler, random, id }: DiskMaker): GroupDisk => {
    const disk = new SimulatedDisk({ scheduler, random, latency: calmLatency })
    const identity = { clusterName: 'test', nodeName: `n${id}`, nodeId: id }
    const limits = logLimits(segmentBytes, { slabBytes: 2_000, tailBytesMax: 4_000, tailBytesIdle: 2_000, blockCacheBytesMax: 1 })
    const rotten: RottenDisk = {
      disk,
      notes: [],
      opened: undefined,
      open(process, clock, draws) {
        const note = (sentence: string): void => void rotten.notes.push(sentence)
        const seams = { disk: disk.openProcess(process), clock, random: draws }
        const opened = openLog({ ...seams, dataDirectory: '/data', identity, limits, hasPeers: () => true, note })
        for (const sentence of opened.notes) note(sentence)
        rotten.opened = opened
        return { ...opened, recovered: { ...opened.recovered, appliedIndex: logIndex(0) } }
      },
      killed: () => disk.kill(),
      powerLost: () => disk.cutPower(),
    }
    disks.push(rotten)
    return rotten
  }
  return { disks, make }
}

/** Proposes texts until they are all applied by the proposer. */
export function write(group: RaftGroup, texts: readonly string[]): void {
  const waiting = new Set(texts)
  const until = group.scheduler.nowMs + 20_000
  while (waiting.size > 0 && group.scheduler.nowMs < until) {
    const leader = group.awaitLeader(10_000)
    const sent = [...waiting].slice(0, 10)
    let open = sent.length
    for (const text of sent) {
      const refused = group.propose(leader, text, outcome => {
        open--
        if (outcome.kind === 'applied') waiting.delete(text)
      })
      if (refused !== undefined) open--
    }
    group.run(2_000, () => open === 0)
  }
  expect(waiting.size).toBe(0)
}

export const textsOf = (name: string, count: number, random: SimRandom): string[] =>
  Array.from({ length: count }, (_, i) => `${name}/${i}:${'x'.repeat(random.integer(0, 400))}`)

/** Where the records of a segment begin. */
export function recordStarts(content: Uint8Array): number[] {
  const view = viewOf(content)
  const starts: number[] = []
  for (let at = segmentHeaderBytes; at < content.length && recordBytes(view, at) > recordHeaderBytes; at += recordBytes(view, at))
    starts.push(at)
  return starts
}

/** The records of these entries, all in one segment, can't be read any more, nor what a start would believe without reading them. */
export function rotRecords(disk: SimulatedDisk, isRotten: (index: number) => boolean): void {
  const path = mustExist(
    disk.files().find(name => name.endsWith('.log')),
    'segment',
  )
  const content = mustExist(disk.contentOf(path), 'content').slice()
  for (const start of recordStarts(content))
    if (isRotten(recordIndex(viewOf(content), start))) disk.flipBit(path, start + recordHeaderBytes - 20, 3)
  const files = disk.openProcess()
  for (const name of disk.files()) if (name.endsWith('.idx')) files.remove(name)
}
