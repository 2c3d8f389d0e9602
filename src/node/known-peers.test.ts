/** Who may be asked for what has rotted: not only those that the configuration names. */
import { expect, test } from 'vitest'
import { firstMembership, logIndex, nodeId, type Member, type MembershipAt } from '../../raft/index.ts'
import { peersKnownBy } from './known-peers.ts'
import type { MemberSettings } from './node-settings.ts'

const port = 9_000
const configured = (id: number): MemberSettings => ({
  id,
  name: `n${id}`,
  clientAddress: { host: `n${id}`, port },
  peerAddress: { host: `n${id}`, port },
})
const member = (id: number): Member => ({ id: nodeId(id), name: `n${id}`, address: `n${id}:${port}`, clientAddress: '' })
const at = (index: number, ...ids: number[]): MembershipAt => ({ index: logIndex(index), membership: firstMembership(ids.map(member)) })

const alone = { number: 1, members: [configured(1)] }

test('a node that founded its group alone has peers when its log says that others have joined', () => {
  const hasPeers = peersKnownBy(alone, undefined)
  expect(hasPeers([])).toBe(false)
  expect(hasPeers([at(1, 1)])).toBe(false)
  expect(hasPeers([at(1, 1), at(30, 1, 2)])).toBe(true)
})

test('it has none any more when all others have gone again', () => {
  expect(peersKnownBy(alone, undefined)([at(30, 1, 2), at(40, 1)])).toBe(false)
})

test('the founders that the configuration names are asked whatever the log says', () => {
  expect(peersKnownBy({ number: 1, members: [configured(1), configured(2)] }, undefined)([])).toBe(true)
})
