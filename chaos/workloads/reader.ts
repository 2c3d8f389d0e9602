/**
 * Reads through the log's order: asks a node, now and then, to be as new as the question (ReadIndex), and holds it to that. What any node called committed
 * before the question was asked must be applied there when the answer is "ready" (I15).
 */
import { logIndex, type ReadEnd } from '../../raft/index.ts'
import type { Host } from '../host.ts'
import type { SimRandom } from '../sim/random.ts'
import type { Scheduler } from '../sim/scheduler.ts'
import { expectThat } from '../violation.ts'

export interface ReaderParts {
  readonly scheduler: Scheduler
  readonly random: SimRandom
  readonly hosts: readonly Host[]
  /** What any node has called committed by now. */
  committed(): number
  isOver(): boolean
  say(text: string): void
}

const meanPauseMs = 1_500
const patienceMs = 2_500

export function startReader(parts: ReaderParts): void {
  const { scheduler, random, hosts } = parts
  scheduler.schedule(1 + random.exponential(meanPauseMs), () => {
    if (parts.isOver()) return
    read(parts, random.pick(hosts), () => undefined)
    startReader(parts)
  })
}

/** One read at one node; `done` hears how it ended, unless the process does. */
export function read(parts: Pick<ReaderParts, 'scheduler' | 'committed' | 'say'>, host: Host, done: (end: ReadEnd) => void): void {
  const { life } = host
  if (life === undefined) return
  const { node } = life
  parts.scheduler.schedule(
    0,
    () => {
      // What was committed before the node took the question up.
      const floor = parts.committed()
      node.raft.readIndex(patienceMs, end => {
        if (end.kind === 'ready') {
          expectThat(
            node.machine.appliedIndex >= floor && end.index >= logIndex(floor),
            'I15',
            () =>
              `${host.name} calls a read ready at ${end.index}, applied ${node.machine.appliedIndex}; ${floor} was committed before it was asked`,
          )
        } else parts.say(`read at ${host.name}: ${end.reason}`)
        done(end)
      })
    },
    life.process,
  )
}
