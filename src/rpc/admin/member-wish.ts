/** Members on the wire of the administration, to what the broker floor speaks and back. What is wrong with a wish by its own bytes is refused here. */
import { raftmq } from '#proto/raftmq-v1.js'
import { parseAddress } from '../../../raft/index.ts'
import { refuse, type Refusal } from '../../broker/refusal.ts'
import type { MemberInfo, MembersView, MembersWish, MemberView } from '../../broker/admin-requests.ts'

type Wire = raftmq.v1.Member.$Properties

const { VOTER, LEARNER, REMOVED } = raftmq.v1.Member.Role
const roles = { voter: VOTER, learner: LEARNER, removed: REMOVED }
const namePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const idMax = 65_535

export function memberOf(member: MemberView): Wire {
  const { id, name, peerAddress, clientAddress, role, isJoining: joining, isParting: parting } = member
  return { id, name, peerAddress, clientAddress, role: roles[role], joining, parting }
}

export function wishOf(
  message: { readonly add?: readonly Wire[] | null; readonly remove?: readonly string[] | null; readonly cancel?: boolean | null },
  { members }: MembersView,
): MembersWish | Refusal {
  const { add = [], remove = [], cancel } = message
  const removed = remove ?? []
  const added = add ?? []
  if (cancel === true)
    return removed.length + added.length > 0 ? refuse('badRequest', 'a change is either cancelled or made') : { kind: 'cancel' }
  if (removed.length + added.length === 0) return refuse('badRequest', 'say who is to be added or removed')
  const gone: number[] = []
  for (const name of removed) {
    const present = members.filter(({ role }) => role !== 'removed')
    const known = present.find(member => member.name === name || String(member.id) === name)
    if (known === undefined) return refuse('notFound', `there is no member ${name}; there are ${present.map(each => each.name).join(', ')}`)
    gone.push(known.id)
  }
  const infos: MemberInfo[] = []
  for (const wire of added) {
    const info = infoOf(wire, [...members, ...infos])
    if ('kind' in info) return info
    infos.push(info)
  }
  return { kind: 'replace', add: infos, remove: gone }
}

function infoOf(wire: Wire, taken: readonly MemberInfo[]): MemberInfo | Refusal {
  const { id = 0, name = '', peerAddress = '', clientAddress = '' } = wire
  if (!namePattern.test(name ?? ''))
    return refuse('badRequest', `${name ?? ''} is not a node name: small letters, digits and -, at most 63`)
  for (const [what, text] of [
    ['peer', peerAddress],
    ['client', clientAddress],
  ] as const)
    if (parseAddress(text ?? '') === undefined) return refuse('badRequest', `its ${what} address ${text ?? ''} is not host:port`)
  const known = taken.find(member => member.name === name)
  const number = id !== null && id > 0 ? id : (known?.id ?? 0)
  if (!Number.isInteger(number) || number < 1 || number > idMax) return refuse('badRequest', `a node has a number from 1 to ${idMax}`)
  if (known !== undefined && known.id !== number) return refuse('badRequest', `${name ?? ''} is the name of member ${known.id}`)
  const other = taken.find(member => member.id === number)
  if (other !== undefined && other.name !== name) return refuse('badRequest', `${number} is the number of member ${other.name}`)
  return { id: number, name: name ?? '', peerAddress: peerAddress ?? '', clientAddress: clientAddress ?? '' }
}
