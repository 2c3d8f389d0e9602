/** Mutants of the links between nodes: who is let in, what a closed connection means, what the log learns of addresses and directories. */
import type { Mutant } from '../mutant.ts'

export const linkMutants: readonly Mutant[] = [
  {
    id: 'N530',
    what: 'another data directory under a member’s number is let in',
    file: 'raft/driver/transport.ts',
    find: '    if (stranger !== undefined) return stranger\n',
    replace: '',
    expected: [],
    test: {
      file: 'chaos/sim/directories.test.ts',
      name: 'a data directory that is another one is refused by everybody: no link, no vote, no entry; and its node is told why',
    },
  },
  {
    id: 'N532',
    what: 'a hello of an earlier process takes the place of the living one’s link',
    file: 'raft/driver/transport.ts',
    find: '    if (hello.incarnation < (peer.incarnation ?? 0) && isAlive(peer)) return',
    replace: '    if (hello.incarnation < 0 && isAlive(peer)) return',
    expected: [],
    test: {
      file: 'chaos/sim/raft-links.test.ts',
      name: 'the links of a Raft node do not take the word of an earlier process while the present one is connected',
    },
  },
  {
    id: 'N535',
    what: 'a removed node is not told so when it greets',
    file: 'raft/driver/transport.ts',
    find: '    if (this.#events.isKnownRemoved(from, hello.membershipIndex)) {\n',
    replace: '    if (this.#events.isKnownRemoved(from, Infinity)) {\n',
    expected: [],
    test: {
      file: 'chaos/sim/raft-members.test.ts',
      name: 'members on simulated seams a node that was away while it was removed is told by whoever it greets, and parks; added again it is back',
    },
  },
  {
    id: 'N536',
    what: 'a reset of both links counts as the death of a process',
    file: 'raft/driver/transport.ts',
    find: '    if (!(control.isOurs ? control : data).wasRefused) return\n',
    replace: '',
    expected: [],
    test: {
      file: 'chaos/sim/raft-links.test.ts',
      name: 'the links of a Raft node tell no death after a reset, a pause, a partition or the loss of a whole host',
    },
  },
  {
    id: 'N537',
    what: 'strangers may knock without a bound',
    file: 'raft/driver/transport.ts',
    find: '    if (this.#strangers.size > strangersMax || this.#isStopped) link',
    replace: '    if (this.#strangers.size > strangersMax * 1e6 || this.#isStopped) link',
    expected: [],
    test: { file: 'chaos/sim/raft-links.test.ts', name: 'the links of a Raft node stay few, however many strangers knock' },
  },
  {
    id: 'N538',
    what: 'a member’s new address is never written into the log',
    file: 'raft/driver/membership-watch.ts',
    find: "      const change = { kind: 'update', member: said } as const\n",
    replace: "      if (said.address !== known.address) return\n      const change = { kind: 'update', member: said } as const\n",
    expected: [],
    test: {
      file: 'chaos/sim/raft-members.test.ts',
      name: 'members on simulated seams a member that comes back at another address is found under its number, and the log learns the address',
    },
  },
  {
    id: 'U124',
    what: 'a link whose place another one takes is not told to be down: what was on it counts as under way',
    file: 'raft/driver/transport.ts',
    find: "    link.close(reason)\n    if (slot.channel === 'data') this.#tellDown(peer)\n  }\n\n  #tellDown",
    replace: '    link.close(reason)\n  }\n\n  #tellDown',
    expected: [],
    test: {
      file: 'chaos/sim/raft-links.test.ts',
      name: 'the links of a Raft node tell their user that the old one is gone when another takes its place: what was on it may be lost',
    },
  },
  {
    id: 'N583',
    what: 'a frame that does not end holds its link for as long as bytes come',
    file: 'raft/driver/transport.ts',
    find: "      else if (link.isStuck(nowMs)) link.close('a frame that does not end')\n",
    replace: '',
    expected: [],
    test: {
      file: 'chaos/sim/raft-links.test.ts',
      name: 'the links of a Raft node are closed on a frame that does not end, though bytes of it come all the time (seed 540099)',
    },
  },
  {
    id: 'N584',
    what: 'who was removed once is turned away although it knows a newer membership that has it again',
    file: 'raft/driver/node.ts',
    find: '          return index > membershipIndex && wasRemoved(membership, node) && memberOf(membership, node) === undefined\n',
    replace: '          return wasRemoved(membership, node) && memberOf(membership, node) === undefined\n',
    expected: [],
    test: {
      file: 'chaos/sim/raft-members.test.ts',
      name: 'members on simulated seams a node that was cut off while a removed one was added again follows it when that leads: who comes with a newer membership is heard',
    },
  },
]
