import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { EntryKind } from '../core/entry.ts'
import type { LogIndex, Term } from '../core/ids.ts'
import type { EntryBody } from './log-storage.ts'
import type { ProposeOutcome } from './submissions.ts'
import { Submissions } from './submissions.ts'

const body: EntryBody = { parts: [], bytes: 0, crc: 0 }
const firstId = (index: number): { term: Term; index: LogIndex } => ({ term: 3 as Term, index: index as LogIndex })

describe('submissions', () => {
  it('become one batch, until it is large or of another kind', () => {
    const submissions = new Submissions(100)
    submissions.add(EntryKind.data, [body, body], 60, undefined)
    submissions.add(EntryKind.data, [body], 40, undefined)
    submissions.add(EntryKind.data, [body], 10, undefined)
    submissions.add(EntryKind.config, [body], 10, undefined)
    submissions.add(EntryKind.data, [body], 500, undefined)
    expect(submissions.waitingBytes).toBe(620)
    const taken = Array.from({ length: 4 }, () => submissions.take())
    expect(taken.map(batch => batch && { kind: batch.kind, count: batch.bodies.length, bytes: batch.bytes })).toEqual([
      { kind: EntryKind.data, count: 3, bytes: 100 },
      { kind: EntryKind.data, count: 1, bytes: 10 },
      { kind: EntryKind.config, count: 1, bytes: 10 },
      { kind: EntryKind.data, count: 1, bytes: 500 },
    ])
    expect(submissions.take()).toBeUndefined()
    expect(submissions.waitingBytes).toBe(0)
  })

  it('are applied when the last of their batch is, each with its own place', () => {
    const submissions = new Submissions(1_000)
    const ends: ProposeOutcome[] = []
    submissions.add(EntryKind.data, [body, body], 2, outcome => ends.push(outcome))
    submissions.add(EntryKind.data, [body], 1, undefined)
    submissions.add(EntryKind.data, [body], 1, outcome => ends.push(outcome))
    const ticket = submissions.take()?.ticket ?? 0
    submissions.onOutcome({ kind: 'appended', ticket, firstId: firstId(10), count: 4 })
    submissions.onApplied(13 as LogIndex)
    expect(ends).toEqual([])
    submissions.onOutcome({ kind: 'committed', ticket, firstId: firstId(10), count: 4 })
    submissions.onApplied(12 as LogIndex)
    expect(ends).toEqual([])
    submissions.onApplied(13 as LogIndex)
    expect(ends).toEqual([
      { kind: 'applied', index: 10, term: 3, count: 2 },
      { kind: 'applied', index: 13, term: 3, count: 1 },
    ])
  })

  it('end exactly once, whatever becomes of them, and what is submitted from within an end waits for its own', () => {
    const anyFate = fc.constantFrom('committed', 'rejected', 'unknown', 'open', 'waiting')
    fc.assert(
      fc.property(fc.array(fc.tuple(anyFate, fc.nat(3), fc.boolean()), { maxLength: 20 }), fates => {
        const submissions = new Submissions(1)
        const ends = new Map<number, ProposeOutcome['kind'][]>()
        let extra = 0
        let next = 1
        fates.forEach(([fate, more, isSilent], number) => {
          const bodies = Array.from({ length: more + 1 }, () => body)
          const done = (outcome: ProposeOutcome): void => {
            ends.set(number, [...(ends.get(number) ?? []), outcome.kind])
            if (outcome.kind === 'rejected') submissions.add(EntryKind.data, [body], 1, () => extra++)
          }
          submissions.add(EntryKind.data, bodies, 5, isSilent ? undefined : done)
          if (fate === 'waiting') return
          for (let batch = submissions.take(); batch !== undefined; batch = submissions.take()) {
            const { ticket } = batch
            const count = batch.bodies.length
            if (fate === 'committed') submissions.onOutcome({ kind: 'committed', ticket, firstId: firstId(next), count })
            if (fate === 'rejected') {
              submissions.onOutcome({ kind: 'rejected', ticket, reason: 'busy' })
              break
            }
            if (fate === 'unknown') submissions.onOutcome({ kind: 'unknown', ticket, cause: 'leadershipLost' })
            next += count
          }
        })
        submissions.onApplied((next - 1) as LogIndex)
        submissions.abandon('stopped')
        submissions.abandon('stopped')
        fates.forEach(([, , isSilent], number) => expect(ends.get(number)?.length ?? 0).toBe(isSilent ? 0 : 1))
      }),
    )
  })
})
