/** What becomes visible again: who is woken for it, whether the attempt before counts, and what is said of clients whose messages those were. */
import type { Mutant } from '../mutant.ts'

export const returnMutants: readonly Mutant[] = [
  {
    id: 'N578',
    what: 'a delivery that never reached anybody ends in the dead letters if it would have been the last',
    file: 'src/state/deliveries.ts',
    find: 'if (counts && rows.get(row, RowField.attempt) >= place.group.maxAttempts) return ',
    replace: 'if (rows.get(row, RowField.attempt) >= place.group.maxAttempts) return ',
    expected: ['A34'],
    profile: 'deliveries',
  },
  {
    id: 'N579',
    what: 'a message that becomes visible again wakes nobody',
    file: 'src/state/deliveries.ts',
    find: '  linkLast(rows, place.ready, row, RowField.orderLinks)\n  state.wakes.places.add(place)\n',
    replace: '  linkLast(rows, place.ready, row, RowField.orderLinks)\n',
    expected: ['A53'],
  },
  {
    id: 'N580',
    what: 'a message group whose lock becomes free wakes nobody',
    file: 'src/state/fifo-locks.ts',
    find: '  linkLast(rows, place.ready, head, RowField.orderLinks)\n  state.wakes.places.add(place)\n',
    replace: '  linkLast(rows, place.ready, head, RowField.orderLinks)\n',
    expected: ['A53'],
  },
  {
    id: 'N581',
    what: 'what a client had not been sent when it died counts as an attempt',
    file: 'src/state/deadlines.ts',
    find: '  makeVisible(state, row, stateOf(state.inFlight.rows, row) === RowState.confirmed)\n',
    replace: '  makeVisible(state, row, true)\n',
    expected: [],
    test: {
      file: 'src/state/clients.test.ts',
      name: 'a delivery that was never confirmed is no attempt of a client that is gone: it may never have reached it',
    },
  },
  {
    id: 'N582',
    what: 'the next moment at which something is due forgets clients that are leaving',
    file: 'src/state/deadlines.ts',
    find: '  return Math.min(state.inFlight.heap.firstDeadline, state.clients.heap.firstDeadline)\n',
    replace: '  return state.inFlight.heap.firstDeadline\n',
    expected: [],
    test: {
      file: 'src/state/clients.test.ts',
      name: 'a client that has left is the next thing that is due when nothing else is',
    },
  },
  {
    id: 'N586',
    what: 'the timer of a gateway whose turn it is not is never armed a second time',
    file: 'src/broker/long-poll.ts',
    find: '      poll.turnTimer = undefined\n      if (this.#mayFind(poll)) this.#want(poll)\n',
    replace: '      if (this.#mayFind(poll)) this.#want(poll)\n',
    expected: ['A53'],
    profile: 'crash',
  },
  {
    id: 'N587',
    what: 'a word on clients whose fate is not known is not said again',
    file: 'src/broker/client-registry.ts',
    find: "if (outcome.kind !== 'applied' || isUnseen(outcome)) this.#putBack(batch)",
    replace: "if (outcome.kind === 'rejected' || isUnseen(outcome)) this.#putBack(batch)",
    expected: [],
    test: {
      file: 'src/broker/clients.test.ts',
      name: 'a change whose fate stayed unknown for longer than its patience, and which then came to nothing, is told again',
    },
  },
]
