/** Mutants of what becomes of a number whose data directory is lost: who is let in, what is counted, how it comes back. */
import type { Mutant } from '../mutant.ts'

export const lostDiskMutants: readonly Mutant[] = [
  {
    id: 'X61',
    what: 'a node that comes back with an empty disk is let in under its number, and counted',
    file: 'raft/driver/transport.ts',
    find: '    return isOther && membershipIndex <= this.#events.membershipIndex()\n',
    replace: '    return isOther && membershipIndex < -this.#events.membershipIndex()\n',
    expected: ['I17'],
    profile: 'wiped',
  },
  {
    id: 'X62',
    what: 'the group never writes down by which directory it knows a member',
    file: 'raft/driver/membership-watch.ts',
    find: '    const directory = known.directory ?? (isHere ? said.directory : undefined)\n',
    replace: '    const directory = known.directory ?? (isHere && id < 0 ? said.directory : undefined)\n',
    expected: ['I17'],
    profile: 'wiped',
  },
  {
    id: 'X63',
    what: 'a member that is taken in anew is still known by the directory that it has lost',
    file: 'raft/core/changing.ts',
    find: '  const members = [...now.members.filter(member => !addedIds.includes(member.id)), ...add].sort(',
    replace:
      '  const members = [...now.members.filter(member => !addedIds.includes(member.id)), ...add.map(each => memberOf(now, each.id) ?? each)].sort(',
    expected: ['A51'],
    profile: 'wiped',
  },
  {
    id: 'X64',
    what: 'a node that is refused because of its empty disk does not say that its directory is the reason',
    file: 'src/node/members.ts',
    find: '  if (view.isOtherDirectory)\n',
    replace: '  if (view.isOtherDirectory && view.at.index > 0)\n',
    expected: ['A51'],
    profile: 'wiped',
  },
  {
    id: 'X65',
    what: 'who comes in with an empty disk votes before it has caught up',
    file: 'raft/core/changing.ts',
    find: 'now.voters.includes(id) || isCaughtUp(node, leader, id)',
    replace: 'now.voters.includes(id) || isCaughtUp(node, leader, id) || progressOf(leader, id) !== undefined',
    expected: ['A58'],
    profile: 'wiped',
  },
  {
    id: 'X66',
    what: 'what a peer had on its disk is counted on, though another process of it, with another disk perhaps, answers now',
    file: 'raft/core/progress.ts',
    find: '  progress.matchedIndex = 0 as LogIndex\n  progress.durableIndex = 0 as LogIndex\n  startProbe(progress, nextIndex)\n',
    replace: '  startProbe(progress, nextIndex)\n',
    also: [
      {
        file: 'raft/core/replication.ts',
        find: '    const known = anew.includes(peer.id) ? undefined : before',
        replace: '    const known = anew.includes(config.id) ? undefined : before',
      },
    ],
    expected: ['I10', 'I12'],
    profile: 'wiped',
  },
  {
    id: 'X67',
    what: 'what a lost disk held is counted when its number comes in again, before anybody has heard of the new one',
    file: 'raft/core/replication.ts',
    find: '    const known = anew.includes(peer.id) ? undefined : before',
    replace: '    const known = anew.includes(config.id) ? undefined : before',
    expected: [],
    test: {
      file: 'chaos/sim/directories.test.ts',
      name: 'a data directory that was lost counts for nothing of a number that comes in again: not what it held, nor that it had caught up',
    },
  },
  {
    id: 'X68',
    what: 'two that have lost their disks elect each other, though they were told that their group goes on without them',
    file: 'raft/core/election.ts',
    find: '  return toldRemovedAt !== undefined && log.lastIndex === 0\n',
    replace: '  return toldRemovedAt !== undefined && log.lastIndex < 0\n',
    expected: [],
    test: { file: 'raft/test/scenario.test.ts', name: 'member-lost-directory-has-no-say.txt' },
  },
]
