/**
 * Random lives of a log beside a naive twin: appends, flushes left under way, truncations, hard-state saves, kills, power cuts, restarts. After each
 * start everything reported durable is there, nothing is invented, and every entry that the log claims to hold can be read. A failure names its seed.
 */
import { describe, expect, it } from 'vitest'
import type { LogIndex, Term } from '../../raft/index.ts'
import { originId } from '../../raft/index.ts'
import { SimRandom } from '../../chaos/sim/random.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { append, bodyOf, StorageRig } from './rig.ts'

class Life {
  readonly rig: StorageRig
  readonly random: SimRandom
  opened: OpenedLog
  /** Terms and body sizes by index; place 0 is unused. */
  readonly log: { readonly term: number; readonly bytes: number }[] = [{ term: 0, bytes: 0 }]
  readonly sizes = new Map<string, number>()
  /** Reported durable and not truncated since. */
  durable = 0
  isFlushing = false
  term = 1
  released = { term: 0, votedFor: undefined as number | undefined }

  constructor(seed: number) {
    this.random = new SimRandom(`storm/${seed}`)
    const segmentBytes = this.random.pick([3_000, 8_000, 40_000, 200_000])
    const limits = logLimits(segmentBytes, {
      slabBytes: this.random.pick([700, 5_000]),
      tailBytesMax: 8_000,
      tailBytesIdle: 2_000,
      openFilesMax: 2,
    })
    this.rig = new StorageRig(`storm/${seed}`, limits)
    this.opened = this.rig.open()
  }

  step(): void {
    const { random } = this
    switch (
      random.pick(['append', 'append', 'append', 'flush', 'flush', 'wait', 'truncate', 'save', 'read', 'cut', 'kill', 'idle'] as const)
    ) {
      case 'append':
        return this.append()
      case 'flush':
        return this.flush()
      case 'wait':
        return this.rig.settle(random.next() * 3)
      case 'idle':
        return this.rig.settle(random.chance(100_000) ? 20_000 : 1_200)
      case 'truncate':
        return this.truncate()
      case 'save':
        return this.save()
      case 'read':
        return this.read()
      case 'cut':
        if (random.chance(400_000)) this.restart('cutPower')
        return
      case 'kill':
        if (random.chance(400_000)) this.restart('kill')
    }
  }

  append(): void {
    const count = this.random.integer(1, 12)
    for (let i = 0; i < count; i++) {
      const bytes = this.random.chance(30_000) ? this.random.integer(2_000, 20_000) : this.random.integer(0, 500)
      const index = this.log.length
      append(this.opened, this.term, 1, bytes)
      this.log.push({ term: this.term, bytes })
      this.sizes.set(`${index}/${this.term}`, bytes)
    }
  }

  /** Started, and left under way: the world goes on. */
  flush(): void {
    if (this.isFlushing) return
    this.isFlushing = true
    const flushed = this.log.slice()
    this.opened.log.flush(error => {
      if (error !== undefined) throw error
      this.isFlushing = false
      let through = 0
      while (through + 1 < Math.min(flushed.length, this.log.length) && flushed[through + 1] === this.log[through + 1]) through++
      this.durable = Math.max(this.durable, through)
      this.opened.log.noteDurable(this.durable as LogIndex)
    })
  }

  truncate(): void {
    if (this.log.length === 1) return
    const from = this.random.integer(Math.max(1, this.log.length - this.random.pick([3, 30, 300])), this.log.length - 1)
    this.opened.log.truncateFrom(from as LogIndex)
    this.log.length = from
    this.durable = Math.min(this.durable, from - 1)
    this.term++
  }

  save(): void {
    const raise = this.random.integer(0, 1)
    const vote = this.random.pick([0, 1, 2])
    const kept = raise === 0 ? this.released.votedFor : undefined
    const state = { term: (this.released.term + raise) as Term, votedFor: kept ?? (vote === 0 ? undefined : vote) }
    let isReleased = false
    this.opened.hardState.save(state, error => {
      if (error !== undefined) throw error
      this.released = state
      isReleased = true
    })
    this.rig.scheduler.runUntilTrue(() => isReleased, 10_000)
  }

  read(): void {
    const last = this.log.length - 1
    if (last === 0) return
    for (let i = 0; i < 10; i++) this.expectEntry(this.random.integer(1, last))
    const from = this.random.integer(1, last)
    const block = this.opened.log.readBlock(from as LogIndex, last as LogIndex, this.random.integer(1, 5_000))
    if (block === undefined) throw new Error(`entries from ${from} can't be read`)
    expect(block.prev).toEqual(from === 1 ? originId : { term: this.log[from - 1]?.term, index: from - 1 })
    const checked = this.opened.log.checkBlock(block.prev, Buffer.concat(block.buffers))
    expect(checked).toMatchObject({ kind: 'ok', block: { lastIndex: block.lastIndex, runs: block.runs, bytes: block.bytes } })
  }

  expectEntry(index: number): void {
    const { term, bytes } = this.log[index] ?? { term: 0, bytes: 0 }
    const entry = this.opened.log.entry(index as LogIndex)
    if (entry.term !== term || !Buffer.from(entry.body).equals(bodyOf(term, index, bytes)))
      throw new Error(`entry ${index} is not what was appended`)
  }

  restart(how: 'cutPower' | 'kill'): void {
    this.rig[how]()
    this.isFlushing = false
    this.opened = this.rig.open()
    const { log, recovered } = this.opened
    const last = log.lastId.index
    if (last < this.durable) throw new Error(`entries ${last + 1}..${this.durable} were reported durable and are gone after ${how}`)
    const before = this.log.slice()
    this.log.length = 1
    for (let index = 1; index <= last; index++) {
      const { term } = log.entry(index as LogIndex)
      const bytes = this.sizes.get(`${index}/${term}`)
      if (bytes === undefined) throw new Error(`entry ${index} of term ${term} was never appended`)
      if (index <= this.durable) expect(term).toBe(before[index]?.term)
      this.log.push({ term, bytes })
      this.expectEntry(index)
    }
    this.durable = last
    this.term = Math.max(this.term, recovered.last.term) + 1
    expect(recovered.hardState.term).toBeGreaterThanOrEqual(this.released.term)
    if (recovered.hardState.term === this.released.term) expect(recovered.hardState.votedFor).toBe(this.released.votedFor)
    this.released = { term: recovered.hardState.term, votedFor: recovered.hardState.votedFor }
  }
}

describe('a log in a storm', () => {
  it.each(Array.from({ length: 120 }, (_, seed) => seed))('keeps its promises (seed %i)', seed => {
    const life = new Life(seed)
    for (let i = 0; i < 250; i++) life.step()
    life.restart('cutPower')
  })
})
