// The floors of the house, ground floor first. A floor may import itself and the floors before it.
// Only src/cli stands above chaos, and loads it lazily. ESLint, test/architecture.test.ts and ARCHITECTURE.md all come from this list.
export const floors = [
  'src/platform',
  'raft',
  'src/storage',
  'src/state',
  'src/broker',
  'src/rpc',
  'src/node',
  'src/console',
  'chaos',
  'src/cli',
]
