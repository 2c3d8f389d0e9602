/** Mutants of the deletion of a log’s beginning, and of the record of where it begins. */
import type { Mutant } from '../mutant.ts'

export const trimMutants: readonly Mutant[] = [
  {
    id: 'N224',
    what: 'the segment below the base goes before the base is on record',
    file: 'src/storage/log-trim.ts',
    find: '    const base = this.#wantedBase\n    const segment = this.#doomed[0]\n',
    replace: '    const segment = this.#doomed[0]\n    const base = segment === undefined ? this.#wantedBase : undefined\n',
    expected: [],
    test: {
      file: 'test/storage/trim.test.ts',
      name: 'a power cut at any step of a deletion leaves a log without a gap that begins at or below the trim (draw 1)',
    },
  },
  {
    id: 'N225',
    what: 'of the segments that go the newest goes first: a crash leaves a gap',
    file: 'src/storage/log-trim.ts',
    find: '    this.#doomed.push(...segments)\n',
    replace: '    this.#doomed.push(...segments.toReversed())\n',
    also: [
      {
        file: 'src/storage/log-trim.ts',
        find: '    this.#wantedBase = base\n    this.#pump()\n',
        replace: '    this.#wantedBase = base.link.index < 0 ? base : undefined\n    this.#pump()\n',
      },
    ],
    expected: [],
    test: {
      file: 'test/storage/trim.test.ts',
      name: 'a power cut at any step of a deletion leaves a log without a gap that begins at or below the trim (draw 1)',
    },
  },
  {
    id: 'N226',
    what: 'a segment is deleted though it holds an entry that is still needed',
    file: 'src/storage/log-beginning.ts',
    find: '  return next?.isOnDisk === true && segment.lastIndex < index && next.prev.index <= writtenIndex\n',
    replace: '  return next?.isOnDisk === true && segment.firstIndex < index && next.prev.index <= writtenIndex\n',
    expected: [],
    test: { file: 'test/storage/trim.test.ts', name: 'trimming the log deletes whole segments that end below the index, and no other' },
  },
  {
    id: 'N227',
    what: 'a segment is deleted before its successor is on disk',
    file: 'src/storage/log-beginning.ts',
    find: '  return next?.isOnDisk === true && segment.lastIndex < index && next.prev.index <= writtenIndex\n',
    replace: '  return next !== undefined && segment.lastIndex < index\n',
    expected: [],
    test: {
      file: 'test/storage/trim.test.ts',
      name: 'trimming the log keeps what is not yet on disk, and what the disk knows no successor of',
    },
  },
  {
    id: 'N228',
    what: 'a base record that is damaged in one copy loses the log',
    file: 'src/storage/log-base.ts',
    find: `  return second.kind === 'ok' ? { kind: 'found', base: second.base, damage: first.problem } : first\n`,
    replace: '  return first\n',
    expected: [],
    test: {
      file: 'test/storage/trim.test.ts',
      name: 'a start on a trimmed log finds one copy good whatever bit of the file is flipped, and tells of it where it matters',
    },
  },
  {
    id: 'Z08',
    what: 'a config entry that nobody can read any more keeps the whole log for ever',
    file: 'src/storage/log-beginning.ts',
    find: 'readableBody(held, config) ?? (this.#applied?.index === config ? this.#applied.body : undefined)\n',
    replace: 'readableBody(held, config)\n',
    expected: [],
    test: {
      file: 'test/storage/trim.test.ts',
      name: 'trimming a log whose newest config entry has rotted goes on with what the applied state knows of that entry, at work and at the next start',
    },
  },
  {
    id: 'Z09',
    what: 'any membership that the state knows stands for a config entry that has rotted',
    file: 'src/storage/log-beginning.ts',
    find: '(this.#applied?.index === config ? this.#applied.body : undefined)\n',
    replace: 'this.#applied?.body\n',
    expected: [],
    test: {
      file: 'test/storage/trim.test.ts',
      name: 'trimming a log whose newest config entry has rotted stops before it while the state knows another one only, which is no word on what stood there',
    },
  },
  {
    id: 'Z10',
    what: 'the log hears of the applied membership at a start only',
    file: 'src/node/broker-node.ts',
    find: '    this.#tellLogMembership()\n    this.#raft.compactTo(',
    replace: '    this.#raft.compactTo(',
    expected: [],
    test: {
      file: 'test/node-halt.test.ts',
      name: 'a config entry that has rotted, and that nobody else could give, does not hold up what retention deletes',
    },
  },
  {
    id: 'U132',
    what: 'of several config entries in what is given up the oldest is kept for the record',
    file: 'src/storage/log-beginning.ts',
    find: '      ?.configs.at(-1)\n',
    replace: '      ?.configs.at(0)\n',
    expected: [],
    test: {
      file: 'test/storage/trim.test.ts',
      name: 'a start on a trimmed log knows the newest of several memberships that stood in one segment',
    },
  },
  {
    id: 'U136',
    what: 'the memberships in what a sidecar spares from reading are forgotten at a start',
    file: 'src/storage/recovery.ts',
    find: '  segment.configs.push(...sidecar.configs)\n',
    replace: '',
    expected: [],
    test: {
      file: 'test/storage/trim.test.ts',
      name: 'a start on a trimmed log keeps a segment whose config entry has rotted, until that is mended',
    },
  },
  {
    id: 'U145',
    what: 'a chunk of the queue index goes though its last row is still needed',
    file: 'src/storage/sealed-rows.ts',
    find: 'first !== undefined && first.mark.throughIndex < index; first',
    replace: 'first !== undefined && first.mark.throughIndex <= index; first',
    expected: [],
    test: {
      file: 'test/storage/queue-index.test.ts',
      name: 'retention removes the oldest chunks for good, and what is left is read as before',
    },
  },
]
