import { expect, test } from 'vitest'
import { firstMembership, logIndex, type MembershipView } from '../../raft/index.ts'
import { membershipTeller } from './members.ts'
import type { NodeSettings } from './node-settings.ts'

test('a node says what it is to its group when that changes, and also when only the reason for which it is out is another one', () => {
  const member = { id: 4, name: 'n4', peerAddress: { host: 'n4', port: 1 }, clientAddress: { host: 'n4', port: 2 } }
  const config = { number: 4, dataDirectory: '/data', members: [member] } as unknown as NodeSettings
  const told: string[] = []
  const tell = membershipTeller(config, sentence => told.push(sentence))
  const view: MembershipView = {
    at: { index: logIndex(0), membership: firstMembership([]) },
    isCommitted: true,
    isRemoved: false,
    isOtherDirectory: false,
  }
  tell(view)
  tell({ ...view, isRemoved: true })
  tell({ ...view, isRemoved: true })
  tell({ ...view, isRemoved: true, isOtherDirectory: true })
  tell(view)
  expect(told).toEqual([
    expect.stringMatching(/^this node was removed from the group/),
    expect.stringMatching(/^\/data is not the data directory that votes as node 4: .* raftmq cluster member replace n4$/),
    expect.stringMatching(/^this node belongs to the group again/),
  ])
})
