/** Mutants of what a start believes of a damaged disk, and of the hard state’s two slots. */
import type { Mutant } from '../mutant.ts'

export const rotMutants: readonly Mutant[] = [
  {
    id: 'N301',
    what: 'a bad record at or below the durable mark is taken for a torn tail and cut off',
    file: 'src/storage/recovery-verdict.ts',
    find: `    name: 'bad record at or below the durable mark',\n    verdict: 'rot',`,
    replace: `    name: 'bad record at or below the durable mark',\n    verdict: 'torn',`,
    expected: [],
    test: {
      file: 'test/storage/recovery.test.ts',
      name: 'recovery finds bad record at or below the durable mark: rot, refused, and nothing is changed',
    },
  },
  {
    id: 'N306',
    what: 'segments of another data directory are read as if they were ours',
    file: 'src/storage/recovery.ts',
    find: '  if (!options.directoryId.every((byte, i) => byte === header.directoryId[i])) {\n',
    replace: '  if (options.directoryId.length === 0) {\n',
    expected: [],
    test: {
      file: 'test/storage/recovery.test.ts',
      name: 'recovery finds a damaged segment header, a renamed segment, a segment of another directory',
    },
  },
  {
    id: 'N322',
    what: 'a hard state is told when it stands in one slot',
    file: 'src/storage/hard-state.ts',
    find: '    this.#waiting.push(done)\n    this.#writesOwed = 2\n',
    replace: '    this.#waiting.push(done)\n    this.#writesOwed = 1\n',
    expected: [],
    test: {
      file: 'test/storage/hard-state.test.ts',
      name: 'the hard state stands in both slots, written one after the other, before anybody hears that it is saved',
    },
  },
  {
    id: 'N323',
    what: 'both slots of the hard state share a block: one torn write takes both',
    file: 'src/storage/hard-state.ts',
    find: 'return { position: (counter % 2) * slotSpacingBytes, bytes: encodeSlot',
    replace: 'return { position: (counter % 2) * 80, bytes: encodeSlot',
    expected: [],
    test: {
      file: 'test/storage/hard-state.test.ts',
      name: 'the hard state that was told survives a power cut and the loss of its newest slot with it',
    },
  },
  {
    id: 'N324',
    what: 'a hard state of another data directory is believed',
    file: 'src/storage/hard-state.ts',
    find: '  for (let i = 0; i < directoryIdBytes; i++) if (bytes[at.directoryId + i] !== directoryId[i]) return undefined\n',
    replace: '',
    expected: [],
    test: { file: 'test/storage/hard-state.test.ts', name: 'a slot is refused with any bit flipped, cut, or of another directory' },
  },
  {
    id: 'N325',
    what: 'a node that lost both slots begins anew, and may vote twice',
    file: 'src/storage/hard-state.ts',
    find: `  return record === undefined ? { kind: 'lost' } : { kind: 'found', record, isSlotLost: true }\n`,
    replace: `  return { kind: 'found', record: record ?? firstHardState, isSlotLost: true }\n`,
    expected: [],
    test: { file: 'test/storage/recovery.test.ts', name: 'a start refuses a log without its hard state, or with both slots lost' },
  },
  {
    id: 'N326',
    what: 'a withheld vote is free again after a restart',
    file: 'src/storage/open-log.ts',
    find: 'isVoteWithheld: before.isVoteWithheld || isBehindLog,',
    replace: 'isVoteWithheld: isBehindLog,',
    expected: [],
    test: { file: 'test/storage/hard-state.test.ts', name: 'the hard state is held back over restarts until trust is restored' },
  },
  {
    id: 'N327',
    what: 'a hard state older than the log does not withhold the vote',
    file: 'src/storage/open-log.ts',
    find: 'isVoteWithheld: before.isVoteWithheld || isBehindLog,',
    replace: 'isVoteWithheld: before.isVoteWithheld,',
    also: [
      {
        file: 'raft/core/node-state.ts',
        find: '(recovered.isVoteWithheld || isBehindLog) && !isAlone(members)',
        replace: 'recovered.isVoteWithheld && !isAlone(members)',
      },
    ],
    expected: [],
    test: {
      file: 'test/storage/hard-state.test.ts',
      name: 'the hard state that is older than the log may have forgotten a vote: it is withheld',
    },
  },
  {
    id: 'N329',
    what: 'the durable mark passes what is on disk',
    file: 'src/storage/commit-log.ts',
    find: '    this.#marks.noteDurable(markAt(this.#held, Math.min(index, this.#writtenIndex)), this.#flushedBytes)\n',
    replace: '    this.#marks.noteDurable(markAt(this.#held, Math.max(index, this.#held.last.index)), this.#flushedBytes)\n',
    expected: [],
    test: {
      file: 'test/storage/hard-state.test.ts',
      name: 'the durable mark never passes what is really on disk, and goes down before a truncation goes below it',
    },
  },
]
