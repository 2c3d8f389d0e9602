/** Mutants of deduplication, proposal sessions, clients and topics that are made anew. */
import type { Mutant } from '../mutant.ts'

export const sessionMutants: readonly Mutant[] = [
  {
    id: 'N432',
    what: 'at the bound of deduplication the oldest ids go, whoever may still retry them',
    file: 'src/state/dedupe.ts',
    find: '    if (row === 0 || dedupe.rows.getU64(row, DedupeField.atMs) >= before) return false\n',
    replace: '    if (row === 0 || before < 0) return false\n',
    expected: [],
    test: {
      file: 'src/state/send.test.ts',
      name: 'a full deduplication table refuses a send whole while its oldest id is younger than 30 s, then evicts it',
    },
  },
  {
    id: 'N433',
    what: 'a repeated send pushes its own first row out of the full table and is appended again',
    file: 'src/state/send.ts',
    find: '    const first = findFirst(state, topic, message)\n    sent.push(first)\n',
    replace: '    const first = findFirst(state, topic, message)\n    sent.push(undefined)\n',
    also: [
      {
        file: 'src/state/send.ts',
        find: 'sent[i] ?? (i > 0 ? findFirst(state, topic, message) : undefined)',
        replace: 'findFirst(state, topic, message)',
      },
      {
        file: 'src/state/send.ts',
        find: '  if (!tryReserve(state, keyed)) return',
        replace: '  if (!tryReserve(state, Math.max(1, keyed))) return',
      },
    ],
    expected: [],
    test: { file: 'src/state/send.test.ts', name: 'a message whose own row would be evicted to make room is still known as sent' },
  },
  {
    id: 'N434',
    what: 'an id that stands twice in one request is appended twice',
    file: 'src/state/send.ts',
    find: 'sent[i] ?? (i > 0 ? findFirst(state, topic, message) : undefined)',
    replace: 'sent[i]',
    expected: [],
    test: { file: 'src/state/send.test.ts', name: 'an id that stands twice in one request is appended once' },
  },
  {
    id: 'N436',
    what: 'a client that reconnects in time is forgotten all the same',
    file: 'src/state/clients.ts',
    find: '    setGone(clients, client, Infinity)\n  } else',
    replace: '  } else',
    expected: [],
    test: { file: 'src/state/clients.test.ts', name: 'a client of a node that went down has ten seconds to appear elsewhere' },
  },
  {
    id: 'N439',
    what: 'what a gateway gives out after its restart is released with what it had given before',
    file: 'src/state/deadlines.ts',
    find: '    if (row === 0 || rows.getU64(row, RowField.order) >= node.drainBelow) {\n',
    replace: '    if (row === 0) {\n',
    expected: [],
    test: {
      file: 'src/state/clients.test.ts',
      name: 'what a new incarnation delivers with its first proposal is not taken for what the old one left behind',
    },
  },
  {
    id: 'N440',
    what: 'a node that comes back under a removed number with an empty directory is not heard',
    file: 'src/state/nodes.ts',
    find: '  node.incarnation = 0\n  node.sequence = 0\n  node.isUp = false\n',
    replace: '  node.isUp = false\n',
    expected: [],
    test: {
      file: 'src/state/membership.test.ts',
      name: 'who was removed and comes back with an empty directory is heard, though it counts its restarts anew',
    },
  },
  {
    id: 'N441',
    what: 'the second half of a forwarded batch moves the session on although its first half was a copy of a later life',
    file: 'src/state/nodes.ts',
    find: '  if (envelope.incarnation !== node.incarnation) return envelope.incarnation < node.incarnation\n',
    replace: '  if (envelope.incarnation !== node.incarnation) return false\n',
    expected: [],
    test: {
      file: 'src/state/machine.test.ts',
      name: 'a proposal of an earlier incarnation is a copy, one of a later incarnation begins a new session',
    },
  },
]
