/** Segments whose header has rotted, and files beside which the log went on: stories 76 and 78 of docs/bugs-found.md, and what two reviews found in the first mends. */
import type { Mutant } from '../mutant.ts'

export const segmentHeadMutants: readonly Mutant[] = [
  {
    id: 'B76',
    what: 'a segment whose header has rotted is as good as gone, though its records are whole',
    file: 'src/storage/recovery.ts',
    find: '  if (first.size === 0) return\n',
    replace: '  if (first.size >= 0) return\n',
    expected: [],
    test: {
      file: 'test/storage/rotten-heads.test.ts',
      name: 'a segment whose header has rotted is whole all the same where all of them have rotted, too',
    },
  },
  {
    id: 'B76b',
    what: 'what stands behind a header that has rotted is not asked whether it goes on',
    file: 'src/storage/log-repair.ts',
    find: "    return nextName !== segment.name && this.#hasNext(nextName, segmentHeaderBytes, tip) ? 'fitsNext' : undefined\n",
    replace: "    return nextName === segment.name && this.#hasNext(nextName, segmentHeaderBytes, tip) ? 'fitsNext' : undefined\n",
    expected: [],
    test: {
      file: 'test/storage/stale-heads.test.ts',
      name: 'a segment whose header has rotted proves the last record before it, which has rotted too: mark 17, committed as far as a peer knows 0',
    },
  },
  {
    id: 'B76e',
    what: 'a file beside which the log went on stays in its place',
    file: 'src/storage/recovery.ts',
    find: '  for (const name of found.unbelieved) disk.remove(`${directory}/${name}`)\n',
    replace: '',
    expected: [],
    test: {
      file: 'test/storage/stale-heads.test.ts',
      name: 'a segment file whose beginning has rotted above the mark is removed when the log goes on without it, and not before the doubt about its end is on record, wherever the power is cut',
    },
  },
  {
    id: 'B76f',
    what: 'a file beside which the log went on is the next one, by its number',
    file: 'src/storage/recovery.ts',
    find: '    if (head?.prev !== undefined || (head?.firstIndex ?? 0) > lastIndex) return head\n',
    replace: '    void lastIndex\n    return head\n',
    expected: [],
    test: {
      file: 'test/storage/stale-heads.test.ts',
      name: 'a segment file whose beginning has rotted above the mark is in nobody’s way later (left by the build before: true)',
    },
  },
  {
    id: 'B76g',
    what: 'a file is believed by its name alone, though something else stands in its place',
    file: 'src/storage/recovery.ts',
    find: "return next.prev === undefined ? problem === 'end' : ",
    replace: "return next.prev === undefined ? problem !== 'cut' : ",
    expected: [],
    test: {
      file: 'test/storage/stale-heads.test.ts',
      name: 'a segment file whose beginning has rotted above the mark does not bring an old history back when what took its place has rotted, and takes no later segment along',
    },
  },
  {
    id: 'B76h',
    what: 'later flushes behind a header that has rotted prove nothing',
    file: 'src/storage/log-repair.ts',
    find: 'if (following !== undefined || !disk.exists(`${directory}/${segment.name}`)) return undefined\n',
    replace: 'if (following !== undefined || !segment.isOnDisk) return undefined\n    void directory\n    void disk\n',
    expected: [],
    test: {
      file: 'test/storage/stale-heads.test.ts',
      name: 'a segment whose header has rotted keeps what later flushes wrote behind its first records, which have rotted too: rot from byte 0 on',
    },
  },
  {
    id: 'B76c',
    what: 'a header is written anew in front of records of another log',
    file: 'src/storage/recovery.ts',
    find: 'file => new ReadWindow(file).recordAt(segmentHeaderBytes, last))\n',
    replace: 'file => new ReadWindow(file).recordAlone(segmentHeaderBytes))\n  void last\n',
    expected: [],
    test: {
      file: 'test/storage/rotten-heads.test.ts',
      name: 'a segment whose header has rotted is whole all the same but not where the first record behind it is of another log',
    },
  },
  {
    id: 'B76i',
    what: 'behind what the next file goes on from, rot is taken for a record',
    file: 'src/storage/log-repair.ts',
    find: "    if (proof === 'fitsNext') this.#endSegment()\n",
    replace: '',
    expected: [],
    test: {
      file: 'test/storage/stale-heads.test.ts',
      name: 'a segment whose header has rotted goes on behind a segment whose last record, and what stands behind that, have rotted: mark 17, committed 0',
    },
  },
  {
    id: 'B76j',
    what: 'what a peer calls committed ends the log, though our own record follows it',
    file: 'src/storage/log-repair.ts',
    find: "if (proof === 'right' && !this.#goesOn()) {",
    replace: "if (proof === 'right') {\n      this.#goesOn()",
    expected: [],
    test: {
      file: 'test/storage/stale-heads.test.ts',
      name: 'a segment whose header has rotted keeps what stands behind its first record, when that and the last one before it have rotted: mark 18, committed 30',
    },
  },
  {
    id: 'B76k',
    what: 'a file beside which the log went on proves more than the durable mark',
    file: 'src/storage/log-repair.ts',
    find: '    } else if (!this.#contradictsMark()) {\n',
    replace: '    } else {\n      this.#contradictsMark()\n',
    expected: [],
    test: {
      file: 'test/storage/stale-heads.test.ts',
      name: 'a segment file whose beginning has rotted above the mark proves nothing that the durable mark contradicts',
    },
  },
  {
    id: 'B76l',
    what: 'how far a log went is not looked for in the segment that has rotted',
    file: 'src/storage/log-repair.ts',
    find: '    return Math.max(told, own, this.#lastWholeIn(',
    replace: '    return Math.max(told, this.#lastWholeIn(',
    expected: [],
    test: {
      file: 'test/storage/stale-heads.test.ts',
      name: 'a segment file whose beginning has rotted above the mark says nothing of how far the log went',
    },
  },
  {
    id: 'B76m',
    what: 'a file beside which the log went on is asked before our own next record',
    file: 'src/storage/log-repair.ts',
    find: "    if (this.#hasNext(segment.name, position + this.#waitingBytes, tip)) return 'fits'\n    const nextName = segmentName(tip.index + 1)\n",
    replace:
      "    const nextName = segmentName(tip.index + 1)\n    if (!this.#hasNext(nextName, segmentHeaderBytes, tip) && this.#hasNext(segment.name, position + this.#waitingBytes, tip)) return 'fits'\n",
    expected: [],
    test: {
      file: 'test/storage/stale-heads.test.ts',
      name: 'a segment file whose beginning has rotted above the mark does not take the place of what follows the same record, when that has rotted',
    },
  },
  {
    id: 'B78',
    what: 'a segment that was written when segments were larger has no room for what stood in it',
    file: 'src/storage/log-repair.ts',
    find: '    return Math.max(segmentBytes, fileBytes)\n',
    replace: '    return Math.min(segmentBytes, fileBytes)\n',
    expected: [],
    test: {
      file: 'test/storage/log-repair.test.ts',
      name: 'a segment from the time when segments were larger is mended in its place (story 78)',
    },
  },
]
