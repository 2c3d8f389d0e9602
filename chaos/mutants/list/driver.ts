/** Mutants of the driver: what waits for the disk, what leaves and comes over the wire, what is applied. */
import type { Mutant } from '../mutant.ts'

export const driverMutants: readonly Mutant[] = [
  {
    id: 'X30',
    what: 'the log is synced before the term that its entries rest on is saved',
    file: 'raft/driver/persistence.ts',
    find: 'return first !== undefined && first < waiting.last',
    replace: 'return first !== undefined && first > waiting.last',
    expected: [],
    test: {
      file: 'raft/driver/persistence.test.ts',
      name: 'persistence flushes no entry before the term that it was made in is saved, but one that came earlier at once',
    },
  },
  {
    id: 'X31',
    what: 'an epoch counts as durable while the hard state before it is being saved',
    file: 'raft/driver/persistence.ts',
    find: 'for (const span of [this.#hardWaiting, this.#hardSaving, this.#logWaiting, this.#logFlushing]) {',
    replace: 'for (const span of [this.#hardWaiting, this.#logWaiting, this.#logFlushing]) {',
    expected: ['I12', 'A46'],
    profile: 'elections',
  },
  {
    id: 'X32',
    what: 'an epoch counts as durable while its flush is under way',
    file: 'raft/driver/persistence.ts',
    find: 'for (const span of [this.#hardWaiting, this.#hardSaving, this.#logWaiting, this.#logFlushing]) {',
    replace: 'for (const span of [this.#hardWaiting, this.#hardSaving, this.#logWaiting]) {',
    expected: ['I12', 'I13', 'A1'],
  },
  {
    id: 'X33',
    what: 'an append leaves although the entry before it is another one by now',
    file: 'raft/driver/sender.ts',
    find: '    if (block.prev.index !== prev.index || block.prev.term !== prev.term) return false\n',
    replace: '',
    expected: [],
    test: {
      file: 'raft/driver/sender.test.ts',
      name: 'an append whose first entry stands behind another entry by now is not sent, not even without its entries, and counts as dropped',
    },
  },
  {
    id: 'X34',
    what: 'messages that wait for the disk are forgotten',
    file: 'raft/driver/sender.ts',
    find: '    for (const message of held) this.send(message, durable)\n',
    replace: '    for (const message of held) if (message.after > durable) this.send(message, durable)\n',
    expected: ['A51', 'A52', 'I18'],
  },
  {
    id: 'X35',
    what: 'records that a peer sent are taken without a check',
    file: 'raft/driver/receiver.ts',
    find: 'if (block.lastIndex !== lastIndex) return',
    replace: 'if (block.lastIndex < 0) return',
    expected: [],
    test: {
      file: 'raft/driver/receiver.test.ts',
      name: 'records that do not end where their header says close the link, and the core hears of nothing (4)',
    },
  },
  {
    id: 'X36',
    what: 'what is not applied yet is told to be',
    file: 'raft/driver/submissions.ts',
    find: 'if (oldest === undefined || oldest.firstIndex + oldest.batch.bodies.length - 1 > appliedIndex) return',
    replace: 'if (oldest === undefined || oldest.firstIndex > appliedIndex) return',
    expected: [],
    test: {
      file: 'raft/driver/submissions.test.ts',
      name: 'submissions are applied when the last of their batch is, each with its own place',
    },
  },
  {
    id: 'X37',
    what: 'an entry is skipped where a slice of applies ends',
    file: 'raft/driver/applier.ts',
    find: '      const index = (this.#appliedIndex + 1) as LogIndex\n',
    replace: '      const index = (this.#appliedIndex + (this.#appliedIndex % 97 === 96 ? 2 : 1)) as LogIndex\n',
    expected: ['A49', 'assertion:apply-in-order'],
  },
  {
    id: 'X38',
    what: 'a process that stood still for long reads what waits as if it were fresh',
    file: 'raft/driver/loop.ts',
    find: '    if (gapMs <= absenceMsMax) return\n',
    replace: '    if (gapMs >= 0) return\n',
    expected: [],
    test: {
      file: 'chaos/sim/raft-links.test.ts',
      name: 'a Raft node drops its connections unread after being away for more than ten seconds, and refuses what had waited',
    },
  },
]
