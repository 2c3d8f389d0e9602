import { expect, test } from 'vitest'
import { Marks } from '../marks.ts'
import { ReferenceReplica } from '../reference.ts'
import { defaultLimits } from '../../src/state/limits.ts'
import { bodyOf, group, message, receive, send } from '../../src/state/testing/replica.ts'
import type { Command } from '../../src/state/command.ts'
import type { LiveNode, NodeView } from './checker.ts'
import { retention } from './retention.ts'

/** Entries 1 to 7: a topic, a group, three sends, a pop of the first message, a trim of two. */
function aReference(): ReferenceReplica {
  const reference = new ReferenceReplica(defaultLimits)
  const queue = { topicId: 1 as never, queueId: 0 as never }
  const commands: readonly Command[] = [
    { kind: 'createTopic', topic: 't', type: 'normal', queueCount: 1 },
    group('g', ['t']),
    send('t', [1]),
    send('t', [2]),
    send('t', [3]),
    { kind: 'pop', consumerGroup: 'g', topic: 't', requests: [receive({ max: 1 })] },
    { kind: 'trim', queues: [{ ...queue, offset: 2 as never, forcedBelow: 0 }] },
  ]
  commands.forEach((command, i) => {
    const body = bodyOf({ node: 1, incarnation: 1, sequence: i + 1, sentAtMs: 1_000 }, command)
    reference.take({ index: i + 1, term: 1, kind: 1, wallMs: 1_000, body } as never, 1, 1)
  })
  return reference
}

function see(reference: ReferenceReplica, firstIndex: number): void {
  const node = { log: { firstIndex } } as unknown as LiveNode
  retention(reference, new Marks()).nodeChanged?.({ id: 1 } as NodeView, node, undefined as never, undefined as never)
}

test('what a queue still has, or a group has in hand, must not be deleted', () => {
  const reference = aReference()
  see(reference, 3)
  // Message 0 is delivered and stands in entry 3.
  expect(() => see(reference, 4)).toThrow(/A56|unfinished message 1\/0@0 needs 3/)
})

test('what was carried forward may go from where it was', () => {
  const reference = aReference()
  const carry: Command = { kind: 'carry', items: [{ topicId: 1 as never, queueId: 0 as never, offset: 0 as never, message: message(1) }] }
  const body = bodyOf({ node: 1, incarnation: 1, sequence: 8, sentAtMs: 1_000 }, carry)
  reference.take({ index: 8, term: 1, kind: 1, wallMs: 1_000, body } as never, 1, 1)
  // The third message, in entry 5, is what the queue has.
  see(reference, 5)
  expect(() => see(reference, 6)).toThrow(/message 1\/0@2 needs 5/)
})
