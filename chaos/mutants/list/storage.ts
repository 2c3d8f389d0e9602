/** Mutants of the log, the hard state, the queue index and checkpoints. */
import type { Mutant } from '../mutant.ts'

export const storageMutants: readonly Mutant[] = [
  {
    id: 'prevCrc',
    what: 'a record is not checked against the one before it: a truncated suffix comes back to life',
    file: 'src/storage/record.ts',
    find: "  if (view.getUint32(position + at.prevCrc, true) !== link.headerCrc) return 'prevCrc'\n",
    replace: '',
    expected: ['A47', 'assertion:block-chain'],
    profile: 'rewrites',
    seeds: 400,
  },
]
