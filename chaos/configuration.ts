/**
 * What one seed is about, drawn before anything runs: how the machines and links behave, which faults may happen how often, what the clients do.
 * Every kind of fault is off in about half of the seeds: a mix with everything on hides the bugs that need many of one kind.
 * A configuration is plain data; it is printed with a failing seed and can be given back to `runSeed` instead of a draw.
 */
import { happens, spread } from './chance.ts'
import { faultKinds, type FaultKind } from './faults/kinds.ts'
import { SimRandom } from './sim/random.ts'

export type Profile =
  /** Everything, drawn anew for each seed. */
  | 'swarm'
  /** Elections are forced close together, with crashes around them. */
  | 'elections'
  /** Equal records, leaders cut off as they are elected, crashes while logs are rewritten. No consumers. */
  | 'rewrites'
  /** Power is cut on two or three nodes at once, again and again. */
  | 'power'
  /** Slow consumers and long invisible times across changes of leader. */
  | 'deliveries'

export const profiles: readonly Profile[] = ['swarm', 'elections', 'rewrites', 'power', 'deliveries']

export interface TopicPlan {
  readonly name: string
  readonly type: 'normal' | 'fifo'
  readonly queueCount: number
  /** Message groups in use (FIFO). */
  readonly messageGroups: number
}

export interface ConsumerGroupPlan {
  readonly name: string
  readonly topics: readonly string[]
  readonly isFifo: boolean
  readonly consumers: number
  readonly maxAttempts: number
  readonly invisibleMs: number
  /** As push consumers ask for: a delivery stays theirs while they live. They forget nothing, for nothing would come again. */
  readonly autoRenew: boolean
  /** Shares of what a consumer does with a delivery; the rest is acknowledged. */
  readonly nackShare: number
  readonly forgetShare: number
  readonly deadLetterShare: number
  readonly workMsMax: number
}

export interface WorldConfiguration {
  readonly seed: number
  readonly profile: Profile
  readonly nodes: number
  /** Faults begin after this much calm. */
  readonly calmMs: number
  /** Faults end here. */
  readonly stormEndMs: number
  /** Producers stop here; then everything is healed and drained. */
  readonly loadEndMs: number
  /** Longest time allowed for the drain. */
  readonly drainMs: number
  readonly raft: {
    readonly heartbeatIntervalMs: number
    readonly electionTimeoutMs: number
    /** Tiny slices: what a peer lacks comes in many pieces. */
    readonly sliceBytesMax: number
    readonly inflightSlicesMax: number
  }
  readonly log: { readonly segmentBytes: number; readonly chunkBytes: number }
  readonly network: {
    /** `stream`: what TCP does. `datagram`: each chunk is lost, repeated and reordered by itself. */
    readonly mode: 'stream' | 'datagram'
    readonly delayMs: number
    readonly jitterMs: number
    readonly lossShare: number
    readonly duplicateShare: number
    readonly reorderShare: number
  }
  readonly disk: { readonly syncMs: number; readonly spikeShare: number; readonly spikeMs: number }
  readonly clocks: { readonly skewMsMax: number }
  /** Mean milliseconds between two faults of a kind; a kind that is missing is off. */
  readonly faults: ReadonlyMap<FaultKind, number>
  readonly topics: readonly TopicPlan[]
  readonly consumerGroups: readonly ConsumerGroupPlan[]
  readonly producers: number
  /** Producers 0 and 1 are "the same" client: same id, same message ids, different content. */
  readonly hasTwins: boolean
  readonly sendIntervalMs: number
  readonly messagesPerSendMax: number
  readonly bodyBytesMax: number
  /** All messages of one length, their bodies zeros but for what names them. */
  readonly hasPlainBodies: boolean
}

/** Draws the configuration of a seed. */
export function drawConfiguration(seed: number, profile: Profile = 'swarm'): WorldConfiguration {
  const random = new SimRandom(`${seed}/configuration/${profile}`)
  const electionTimeoutMs = random.pick([300, 400, 600, 1_000])
  const calmMs = 3_000
  const stormMs = profile === 'swarm' ? random.integer(38_000, 50_000) : 40_000
  const isRewrites = profile === 'rewrites'
  return {
    seed,
    profile,
    nodes: 3,
    calmMs,
    stormEndMs: calmMs + stormMs,
    loadEndMs: Math.max(calmMs + stormMs + 2_000, 55_000),
    drainMs: 180_000,
    raft: {
      heartbeatIntervalMs: Math.floor(electionTimeoutMs / random.integer(4, 6)),
      electionTimeoutMs,
      sliceBytesMax: isRewrites ? 1_500 : random.pick([600, 4_000, 1_048_576]),
      inflightSlicesMax: random.pick([1, 2, 4]),
    },
    log: { segmentBytes: random.pick([64, 128, 256, 512]) * 1024, chunkBytes: random.pick([16, 32, 64]) * 1024 },
    network: {
      mode: random.pick(['stream', 'datagram']),
      delayMs: spread(random, 0.1, 3),
      jitterMs: spread(random, 0.1, 8),
      lossShare: happens(random, 0.5) ? spread(random, 0.0005, 0.02) : 0,
      duplicateShare: happens(random, 0.5) ? spread(random, 0.0005, 0.02) : 0,
      reorderShare: happens(random, 0.5) ? spread(random, 0.0005, 0.02) : 0,
    },
    disk: {
      syncMs: profile === 'elections' ? spread(random, 2, 20) : spread(random, 0.2, 6),
      spikeShare: happens(random, 0.5) ? 0.01 : 0,
      spikeMs: spread(random, 20, 400),
    },
    clocks: { skewMsMax: random.pick([0, 5, 200, 2_000]) },
    faults: drawFaults(random, profile),
    topics: isRewrites ? [{ name: 'orders', type: 'normal', queueCount: 1, messageGroups: 0 }] : drawTopics(random),
    // Nothing but sends of one length: a suffix that is cut off and the one that takes its place have their records at the same places.
    consumerGroups: isRewrites ? [] : drawConsumerGroups(random, profile),
    producers: random.integer(2, 4),
    hasTwins: happens(random, 0.4),
    sendIntervalMs: isRewrites ? random.integer(200, 500) : random.integer(700, 2_200),
    messagesPerSendMax: isRewrites ? 1 : random.pick([1, 1, 3, 8]),
    bodyBytesMax: isRewrites ? 700 : random.pick([64, 600, 5_000]),
    hasPlainBodies: isRewrites,
  }
}

function drawFaults(random: SimRandom, profile: Profile): ReadonlyMap<FaultKind, number> {
  const faults = new Map<FaultKind, number>()
  const add = (kind: FaultKind, meanMs: number): void => void faults.set(kind, meanMs)
  switch (profile) {
    case 'swarm': {
      for (const kind of faultKinds) if (happens(random, 0.5)) add(kind, Math.round(spread(random, 6_000, 30_000)))
      // Without a change of leader a seed shows little: one of the two surest ways is always on.
      add(random.pick(['crashLeader', 'isolateLeader'] as const), Math.round(spread(random, 6_000, 14_000)))
      return faults
    }
    case 'elections':
      add('crashLeader', 5_000)
      add('crashVoter', 3_000)
      add('crashVoters', 3_000)
      add('bridge', 5_000)
      add('isolateLeader', 9_000)
      return faults
    case 'rewrites':
      add('rivals', 5_000)
      add('isolateNewLeader', 9_000)
      add('crashRewriting', 2_500)
      add('crashLeader', 12_000)
      return faults
    case 'power':
      add('crashAll', 4_500)
      add('crashPair', 4_000)
      add('crashLeader', 9_000)
      return faults
    case 'deliveries':
      add('crashLeader', 7_000)
      add('pauseNode', 12_000)
      return faults
  }
}

function drawTopics(random: SimRandom): readonly TopicPlan[] {
  const topics: TopicPlan[] = [{ name: 'orders', type: 'normal', queueCount: random.pick([1, 2, 4]), messageGroups: 0 }]
  topics.push({ name: 'accounts', type: 'fifo', queueCount: random.pick([1, 2, 4]), messageGroups: random.pick([1, 3, 8]) })
  if (happens(random, 0.5)) topics.push({ name: 'events', type: 'normal', queueCount: random.pick([1, 8]), messageGroups: 0 })
  return topics
}

function drawConsumerGroups(random: SimRandom, profile: Profile): readonly ConsumerGroupPlan[] {
  const isSlow = profile === 'deliveries'
  const draw = (name: string, topics: readonly string[], isFifo: boolean, autoRenew = happens(random, 0.4)): ConsumerGroupPlan => ({
    autoRenew,
    name,
    topics,
    isFifo,
    consumers: random.integer(1, 3),
    maxAttempts: random.pick([3, 16]),
    invisibleMs: isSlow ? random.pick([10_000, 20_000]) : random.pick([1_000, 3_000, 10_000]),
    nackShare: happens(random, 0.5) ? spread(random, 0.01, 0.2) : 0,
    forgetShare: !autoRenew && happens(random, 0.5) ? spread(random, 0.01, 0.1) : 0,
    deadLetterShare: happens(random, 0.3) ? 0.02 : 0,
    workMsMax: isSlow ? 6_000 : random.pick([5, 100, 1_500]),
  })
  const groups = [draw('billing', ['orders'], false), draw('ledger', ['accounts'], true)]
  if (happens(random, 0.5)) groups.push(draw('audit', ['orders', 'accounts'], false))
  return groups
}
