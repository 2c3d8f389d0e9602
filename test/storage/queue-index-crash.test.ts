/** The power is cut after every single disk operation of a run that appends, checkpoints, freezes, seals and drops: what a saved checkpoint relies on is there. */
import { expect, test } from 'vitest'
import { SimulatedCrash, SimulatedDisk } from '../../chaos/sim/disk.ts'
import { SimRandom } from '../../chaos/sim/random.ts'
import { Scheduler } from '../../chaos/sim/scheduler.ts'
import { openQueueIndex } from '../../src/storage/queue-index.ts'
import type { QueueIndexFiles } from '../../src/storage/queue-index.ts'
import type { RowSlot } from '../../src/storage/queue-rows.ts'

const directory = '/data/index'
const limits = { chunkRowsMax: 60, cacheBytesMax: 64 * 1024, openFilesMax: 2 }
const checkpoints = 30
/** Every so many entries there is a new topic, and the one before it is dropped. */
const topicEntries = 9

interface Row {
  readonly topicId: number
  readonly queueId: number
  readonly offset: number
  readonly slot: RowSlot
}

function passingTopic(index: number): number {
  return 10 + Math.floor(index / topicEntries)
}

/** What entry `index` appends: the same whenever it is applied. */
function rowsOf(index: number): { readonly topicId: number; readonly queueId: number; readonly slot: RowSlot }[] {
  const random = new SimRandom(`entry ${index}`)
  return Array.from({ length: random.integer(0, 4) }, (_, ordinal) => ({
    topicId: random.pick([1, 2, passingTopic(index)]),
    queueId: random.integer(0, 2),
    slot: {
      // A row of the dead letters points back at an older entry.
      logIndex: random.chance(100_000) ? 1 : index,
      ordinal,
      tagHash: random.next32(),
      messageGroup: { low: random.next32(), high: random.next32() },
      storedAtMs: index * 10,
      queueKiB: index * 3,
    },
  }))
}

/** The replicated state, as far as the index sees it: next offsets, and rows that may still be read. */
class Twin {
  appliedIndex = 0
  rows: Row[] = []

  apply(index: QueueIndexFiles): void {
    this.appliedIndex++
    for (const { topicId, queueId, slot } of rowsOf(this.appliedIndex)) {
      const offset = this.rows.filter(row => row.topicId === topicId && row.queueId === queueId).length
      this.rows.push({ topicId, queueId, offset, slot })
      index.append(topicId, queueId, offset, slot)
    }
    if (this.appliedIndex % topicEntries === 0) index.dropTopic(passingTopic(this.appliedIndex) - 1)
  }

  copy(): Twin {
    const copy = new Twin()
    copy.appliedIndex = this.appliedIndex
    copy.rows = [...this.rows]
    return copy
  }

  check(index: QueueIndexFiles): void {
    for (const { topicId, queueId, offset, slot } of this.rows)
      if (topicId < 10 || topicId === passingTopic(this.appliedIndex)) expect(index.read(topicId, queueId, offset)).toEqual(slot)
  }
}

interface Machine {
  readonly scheduler: Scheduler
  readonly disk: SimulatedDisk
  readonly random: SimRandom
  saved: Twin
}

/** One life: opens at the saved checkpoint, applies and checkpoints to the end or to the crash. Whether it came to the end. */
function live(machine: Machine, saveShare: number): boolean {
  const { scheduler, random } = machine
  try {
    const seam = machine.disk.openProcess(scheduler.newProcess('n1'))
    const opened = openQueueIndex(seam, directory, { appliedIndex: machine.saved.appliedIndex, limits })
    if (opened.kind === 'damaged') throw new Error(opened.reason)
    const { index } = opened
    const twin = machine.saved.copy()
    twin.check(index)
    let count = 0
    const next = (): void => {
      if (++count > checkpoints) return
      for (let i = random.integer(0, 6); i >= 0; i--) twin.apply(index)
      const at = twin.copy()
      index.persist({ throughIndex: at.appliedIndex, logBytes: 100 }, error => {
        if (!machine.disk.isInUse) return
        expect(error).toBeUndefined()
        // The checkpoint itself is saved a moment later, or never, when the process dies before. Apply goes on meanwhile.
        twin.apply(index)
        if (count === checkpoints && !random.chance(saveShare)) return
        machine.saved = at
        next()
      })
    }
    next()
    while (scheduler.step());
    if (!machine.disk.isInUse) return false
    twin.check(index)
    index.close()
    return true
  } catch (error) {
    if (error instanceof SimulatedCrash || !machine.disk.isInUse) return false
    throw error
  }
}

function aMachine(seed: string): Machine {
  const scheduler = new Scheduler()
  const random = new SimRandom(seed)
  return { scheduler, random, disk: new SimulatedDisk({ scheduler, random: random.stream('disk') }), saved: new Twin() }
}

test('no disk operation is one after which a power cut could hurt', () => {
  const whole = aMachine('count')
  expect(live(whole, 1_000_000)).toBe(true)
  const operations = whole.disk.operations
  expect(operations).toBeGreaterThan(60)
  for (let crashAt = 1; crashAt <= operations; crashAt++) {
    for (let seed = 0; seed < 2; seed++) {
      const machine = aMachine(`seed ${seed}`)
      machine.disk.crashAfter(crashAt)
      const isWhole = live(machine, 500_000)
      if (!isWhole) expect(live(machine, 1_000_000), `crash ${crashAt}, seed ${seed}`).toBe(true)
      expect(live(machine, 1_000_000)).toBe(true)
    }
  }
}, 60_000)

test('crash after crash after crash', () => {
  for (let seed = 0; seed < 40; seed++) {
    const machine = aMachine(`many ${seed}`)
    for (let lives = 0; lives < 12; lives++) {
      machine.disk.crashAfter(machine.disk.operations + machine.random.integer(1, 50))
      live(machine, 500_000)
    }
    machine.disk.crashAfter(Infinity)
    expect(live(machine, 1_000_000)).toBe(true)
  }
}, 60_000)
