/** Mutants of the repair of rotten records from peers, of the scrubber, and of a node that takes no part until it is whole. */
import type { Mutant } from '../mutant.ts'

export const repairMutants: readonly Mutant[] = [
  {
    id: 'N313',
    what: 'a hole found in use is filled with whatever has its size',
    file: 'src/storage/holes.ts',
    find: '    if (expected !== crc) return this.#startOver(hole)\n',
    replace: '',
    expected: [],
    test: {
      file: 'test/storage/scrubber.test.ts',
      name: 'the scrubber takes no records of another history, though they are whole, and as many bytes',
    },
  },
  {
    id: 'N317',
    what: 'the scrubber reads each round only what it has not read before',
    file: 'src/storage/scrubber.ts',
    find: '    this.#rounds++\n    this.#nextIndex = 0\n',
    replace: '    this.#rounds++\n',
    expected: [],
    test: {
      file: 'test/storage/scrubber.test.ts',
      name: 'the scrubber reads the whole log, round after round, and finds nothing in a good one',
    },
  },
  {
    id: 'N318',
    what: 'the scrubber skips the first block of each segment',
    file: 'src/storage/scrubber.ts',
    find: '      this.#blocks.blockOf(segment, index)\n',
    replace: '      if (number > 0) this.#blocks.blockOf(segment, index)\n',
    expected: [],
    test: {
      file: 'test/storage/scrubber.test.ts',
      name: 'the scrubber finds a flipped bit anywhere in the records, and asks for those entries',
    },
  },
  {
    id: 'N320',
    what: 'the scrubber does not look at segment headers',
    file: 'src/storage/scrubber.ts',
    find: '    if (index === segment.firstIndex) this.#checkHeader(segment)\n',
    replace: '',
    expected: [],
    test: { file: 'test/storage/scrubber.test.ts', name: 'the scrubber writes a rotten segment header anew' },
  },
  {
    id: 'N330',
    what: 'a node whose log has rotted takes part before it is mended',
    file: 'raft/core/core.ts',
    find: `  if (node.role.kind === 'recovering') return onEventRecovering(node, event)\n`,
    replace: `  if (node.role.kind === 'recovering' && event.kind === 'receive') becomeFollower(node, undefined, 'takes part')\n  if (node.role.kind === 'recovering') return onEventRecovering(node, event)\n`,
    also: [
      {
        file: 'raft/core/core.ts',
        find: 'import { adoptTerm, createNodeState,',
        replace: 'import { adoptTerm, becomeFollower, createNodeState,',
      },
      {
        file: 'raft/core/core.ts',
        find: `      return assert(false, 'repaired-while-whole', node.role.kind)\n`,
        replace: '      return\n',
      },
    ],
    expected: [],
    test: { file: 'raft/test/scenario.test.ts', name: 'rot-gives-no-vote.txt' },
  },
]
