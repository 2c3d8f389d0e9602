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
]
