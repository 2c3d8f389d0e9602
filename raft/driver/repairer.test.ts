/** Whom the repairer asks, and when it says that nobody has what is wanted. */
import { describe, expect, it } from 'vitest'
import type { LogIndex, NodeId } from '../core/ids.ts'
import type { LogStorage, RepairStorage, SupplyOutcome } from './log-storage.ts'
import { Repairer } from './repairer.ts'

const some = new Uint8Array(8)
const none = new Uint8Array(0)

/** A node that wants entries from 5 on, with peers 2 and 3; `outcomes` are what its storage says of each answer. */
function asking(isRecovering: boolean, outcomes: readonly SupplyOutcome[], startsOver: readonly boolean[] = []) {
  const asked: number[] = []
  let nobody = 0
  let supplied = 0
  let startedOver = 0
  const wanted = { fromIndex: 5, lastIndex: 9 }
  const repair = {
    wanted,
    isRecovering,
    supply: () => outcomes[supplied++] ?? 'refused',
    startOver: () => startsOver[startedOver++] ?? false,
  } as unknown as RepairStorage
  const repairer = new Repairer({
    clock: { nowMs: () => 0 } as never,
    log: {} as LogStorage,
    repair,
    transport: { sendData: (peer: NodeId) => asked.push(peer) > 0, isUp: () => true },
    peers: () => [2, 3] as NodeId[],
    answerBytesMax: 1_000,
    commitIndex: () => 0 as LogIndex,
    nobodyHas: () => (nobody += 1),
    mended: () => undefined,
  })
  return {
    asked,
    get nobody() {
      return nobody
    },
    /** Whoever was asked last answers; then it is looked whether somebody should be asked. */
    answered(bytes: Uint8Array): void {
      repairer.onRecords(asked.at(-1) as NodeId, { fromIndex: 5 as LogIndex, commitIndex: 0 as LogIndex }, bytes)
      repairer.poll()
    },
    begin: () => repairer.poll(),
  }
}

describe('who asks for what has rotted', () => {
  it('asks one after the other, and whoever goes on giving again', () => {
    const node = asking(false, ['refused', 'progress', 'progress'])
    node.begin()
    for (const bytes of [none, some, some]) node.answered(bytes)
    expect([node.asked, node.nobody]).toEqual([[3, 2, 2, 2], 0])
  })

  it('says that nobody has it when all have refused: at work also by what did not fit', () => {
    const node = asking(false, ['refused', 'refused'])
    node.begin()
    node.answered(some)
    expect(node.nobody).toBe(0)
    node.answered(none)
    expect(node.nobody).toBe(1)
  })

  it('says so for a log that is mended since the start only by plain refusals: what is replaced for it is all of that log', () => {
    const node = asking(true, [])
    node.begin()
    for (const bytes of [some, some, none, some]) node.answered(bytes)
    expect(node.nobody).toBe(0)
    node.answered(none)
    node.answered(none)
    expect(node.nobody).toBe(1)
  })

  it('first has whoever spoke last asked for all of it, when a beginning has come that nobody goes on with: once', () => {
    const node = asking(true, [], [true, true])
    node.begin()
    node.answered(none)
    node.answered(none)
    expect([node.nobody, node.asked]).toEqual([0, [3, 2, 2]])
    node.answered(none)
    node.answered(none)
    expect(node.nobody).toBe(1)
  })
})
