/** Mutants of replication, commit, durability and cluster time. */
import type { Mutant } from '../mutant.ts'

export const replicationMutants: readonly Mutant[] = [
  {
    id: 'M07',
    what: 'the answer to an append names the last entry of the log instead of the end of the request',
    file: 'raft/core/following.ts',
    find: 'const matchedIndex = role.verifiedIndex',
    replace: 'const matchedIndex = node.log.lastIndex',
    expected: ['A1', 'A47', 'I5', 'I12', 'assertion:I10-reported-verified'],
    profile: 'rewrites',
  },
  {
    id: 'M13',
    what: 'a follower answers before its entries are on disk',
    file: 'raft/core/following.ts',
    find: 'const durableIndex = Math.min(matchedIndex, node.durability.durableIndex) as LogIndex',
    replace: 'const durableIndex = matchedIndex',
    also: [{ file: 'raft/core/following.ts', find: 'if (!isNew) report(node, role, from)', replace: 'report(node, role, from)' }],
    expected: ['I12', 'A1'],
    profile: 'power',
  },
  {
    id: 'R26',
    what: 'a truncation does not lower what counts as durable',
    file: 'raft/core/durability.ts',
    find: '  if (durability.durableIndex > lastIndex) durability.durableIndex = lastIndex\n',
    replace: '',
    expected: ['assertion:append-below-durable', 'assertion:I13-durable-last', 'I12'],
    profile: 'rewrites',
  },
]

export const driverMutants: readonly Mutant[] = []
