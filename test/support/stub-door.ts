/** A broker floor that does nothing but remember what it was asked and give the answers it was told to give. For tests of src/rpc. */
import type { MessagingDoor, BrokerDoor } from '../../src/rpc/broker-door.ts'
import type { Refusal } from '../../src/broker/refusal.ts'
import type { ReceivedMessage } from '../../src/broker/requests.ts'

type Asks = Omit<BrokerDoor, 'clientConnected' | 'clientDisconnected' | 'clusterStatus' | 'members'>
export type UseCase = keyof Asks

/** The answer of a use case: fixed, or made from the request. */
export type Scripted = { readonly [Name in UseCase]?: object | ((request: never) => object) }

export interface StubDoor extends BrokerDoor {
  readonly asked: { readonly useCase: UseCase; readonly request: Readonly<Record<string, unknown>> }[]
  /** `+id` and `-id`. */
  readonly presence: string[]
  /** What became of receives and their batches: `cancel`, `confirm`, `release`. */
  readonly fates: string[]
  answers: Scripted
  lastRequest(useCase: UseCase): Readonly<Record<string, unknown>>
}

/** As an answer: none, ever. */
export const never: object = {}

const unanswered: Refusal = { kind: 'refused', code: 'internalServerError', hint: 'the stub has no answer for this' }

export function stubDoor(answers: Scripted = {}): StubDoor {
  const door = {
    asked: [] as StubDoor['asked'],
    presence: [] as string[],
    fates: [] as string[],
    answers,
    clientConnected: (id: string) => void door.presence.push(`+${id}`),
    clientDisconnected: (id: string) => void door.presence.push(`-${id}`),
    lastRequest(useCase: UseCase) {
      const found = door.asked.findLast(entry => entry.useCase === useCase)
      if (found === undefined) throw new Error(`${useCase} was not asked`)
      return found.request
    },
  }
  const ask = (useCase: UseCase) => (request: never, reply: (answer: never) => void) => {
    door.asked.push({ useCase, request })
    const scripted = door.answers[useCase]
    if (scripted === never) return handle
    const answer: object = typeof scripted === 'function' ? (scripted as (request: never) => object)(request) : (scripted ?? unanswered)
    setImmediate(() => reply(answer as never))
    return handle
  }
  const handle = { cancel: () => void door.fates.push('cancel') }
  const useCases: UseCase[] = [
    ...(['send', 'receive', 'ack', 'changeInvisible', 'forwardToDeadLetterQueue', 'queryRoute', 'queryAssignment', 'heartbeat'] as const),
    ...([
      'settings',
      'terminate',
      'createTopic',
      'deleteTopic',
      'listTopics',
      'transferLeader',
      'changeMembers',
      'getTopic',
      'ensureGroup',
      'listGroups',
      'getGroup',
      'finalizeUpgrade',
    ] as const),
  ]
  const asks = Object.fromEntries(useCases.map(useCase => [useCase, ask(useCase)])) as unknown as Asks
  const clusterStatus: BrokerDoor['clusterStatus'] = () => ({
    kind: 'clusterStatus',
    clusterName: 'stub',
    answeredBy: 1,
    leader: 2,
    term: 3,
    commitIndex: 10,
    clusterTimeMs: 0,
    nodes: [],
    featureLevel: 1,
    topicCount: 0,
    groupCount: 0,
  })
  const members: BrokerDoor['members'] = () => ({
    index: 9,
    isCommitted: true,
    phase: 'steady',
    isRemoved: false,
    members: [1, 2, 3].map(id => ({
      id,
      name: `n${id}`,
      peerAddress: `h${id}:9876`,
      clientAddress: `h${id}:8081`,
      role: 'voter',
      isJoining: false,
      isParting: false,
    })),
  })
  return Object.assign(door, asks, { clusterStatus, members })
}

/** A batch as the broker would hand it out. */
export function stubBatch(door: StubDoor, messages: readonly ReceivedMessage[]): object {
  return {
    kind: 'received',
    count: messages.length,
    deliveryTimestampMs: 1_700_000_000_000,
    isReadable: () => true,
    read: (i: number) => messages[i],
    confirm: () => void door.fates.push('confirm'),
    release: (fromIndex?: number) => void door.fates.push(fromIndex === undefined ? 'release' : `release from ${fromIndex}`),
  }
}

export type { MessagingDoor }
