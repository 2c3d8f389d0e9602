/**
 * What one seed is about, drawn before anything runs: how the machines and links behave, which faults may happen how often, what the clients do.
 * Every kind of fault and every feature is off in about half of the seeds: a mix with everything on hides the bugs that need many of one kind.
 * Each draw has a stream of its own name: one more, or one that is forced, leaves all others as they were.
 * A configuration is plain JSON; it is printed with a failing seed, shrunk with it, and can be given back to `runSeed` instead of a draw.
 */
import { happens, spread } from './chance.ts'
import { faultCatalog, type FaultKind } from './faults/catalog.ts'
import { drawFeatures, type Feature } from './features.ts'
import { profilePlan, type Profile } from './profiles.ts'
import { SimRandom } from './sim/random.ts'

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
  /** What is on in this seed (features.ts). */
  readonly features: readonly Feature[]
  /** With which the group begins. */
  readonly nodes: number
  /** Nodes more that can be taken in; their numbers follow. */
  readonly spares?: number
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
    /** How long who was removed hears of it and serves clients; undefined = as in production. */
    readonly farewellMs?: number
    /** Of each of a leader's pools: tiny ones refuse now and then. 0 = as in production. */
    readonly poolBytesMax?: number
  }
  /** How far behind a node gets a snapshot, and in which pieces. */
  readonly catchUp: {
    readonly lagEntries: number
    readonly pieceBytes: number
    readonly syncBytes: number
    readonly bytesPerSecond: number
  }
  readonly log: {
    readonly segmentBytes: number
    readonly chunkBytes: number
    /** undefined: everything is kept. */
    readonly retention: { readonly ageMs: number; readonly sizeBytes: number; readonly intervalMs: number } | undefined
  }
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
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>
  readonly topics: readonly TopicPlan[]
  readonly consumerGroups: readonly ConsumerGroupPlan[]
  /** With `twins`, producers 0 and 1 are "the same" client: same id, same message ids, different content. */
  readonly producers: number
  readonly sendIntervalMs: number
  readonly messagesPerSendMax: number
  readonly bodyBytesMax: number
  /** All messages of one length, their bodies zeros but for what names them. */
  readonly hasPlainBodies: boolean
}

/** What four producers make of it, and the consumers of their messages: two hundred calls a second, of all the seconds of a seed. */
const loadIntervalMs = 30

/** In worlds whose members change. */
const nodesMax = 5

/** Whether a feature is on in this seed. */
export function hasFeature(configuration: Pick<WorldConfiguration, 'features'>, feature: Feature): boolean {
  return configuration.features.includes(feature)
}

/** Draws the configuration of a seed. */
export function drawConfiguration(seed: number, profile: Profile = 'swarm'): WorldConfiguration {
  const random = new SimRandom(`${seed}/configuration/${profile}`)
  const of = (name: string): SimRandom => random.stream(name)
  const plan = profilePlan(profile)
  const features = drawFeatures(random, plan.features)
  const share = (feature: Feature, low: number, high: number): number =>
    features.includes(feature) ? spread(of(`share/${feature}`), low, high) : 0
  const electionTimeoutMs = of('electionTimeout').pick([300, 400, 600, 1_000])
  const calmMs = 3_000
  const stormMs = of('storm').integer(38_000, 50_000)
  const isRewrites = profile === 'rewrites'
  const isLoad = profile === 'load'
  const isChanging = features.includes('membership')
  const founders = profile === 'membership' ? of('founders').pick([1, 3, 3]) : 3
  return {
    seed,
    profile,
    features,
    nodes: founders,
    ...(isChanging ? { spares: nodesMax - founders } : {}),
    calmMs,
    stormEndMs: calmMs + stormMs,
    loadEndMs: Math.max(calmMs + stormMs + 2_000, 55_000),
    drainMs: 180_000,
    raft: {
      heartbeatIntervalMs: Math.floor(electionTimeoutMs / of('heartbeat').integer(4, 6)),
      electionTimeoutMs,
      // Tiny slices and pools hold the load back: there it is as in production.
      sliceBytesMax: isRewrites ? 1_500 : isLoad ? 1_048_576 : of('slice').pick([600, 4_000, 1_048_576]),
      inflightSlicesMax: isLoad ? 4 : of('slices').pick([1, 2, 4]),
      ...(isChanging ? { farewellMs: of('farewell').pick([2_000, 10_000, 45_000]) } : {}),
      poolBytesMax: isLoad ? 0 : of('pools').pick([3_000, 30_000, 0]),
    },
    catchUp: {
      lagEntries: of('snapshot lag').pick([30, 60, 150, 1_000_000]),
      pieceBytes: of('piece').pick([700, 4_000, 65_536]),
      syncBytes: of('piece sync').pick([2_000, 50_000]),
      bytesPerSecond: of('snapshot rate').pick([200_000, 10_000_000]),
    },
    log: drawLog(of, features.includes('retention')),
    network: {
      mode: of('network').pick(['stream', 'datagram']),
      delayMs: spread(of('delay'), 0.1, 3),
      jitterMs: spread(of('jitter'), 0.1, 8),
      lossShare: share('loss', 0.0005, 0.02),
      duplicateShare: share('duplicates', 0.0005, 0.02),
      reorderShare: share('reorders', 0.0005, 0.02),
    },
    disk: {
      syncMs: profile === 'elections' ? spread(of('sync'), 2, 20) : spread(of('sync'), 0.2, 6),
      spikeShare: features.includes('diskSpikes') ? 0.01 : 0,
      spikeMs: spread(of('spike'), 20, 400),
    },
    clocks: { skewMsMax: of('skew').pick([0, 5, 200, 2_000]) },
    faults: drawFaults(random, profile, features),
    topics: isRewrites ? [{ name: 'orders', type: 'normal', queueCount: 1, messageGroups: 0 }] : drawTopics(of('topics'), features),
    // Nothing but sends of one length: a suffix that is cut off and the one that takes its place have their records at the same places.
    consumerGroups: isRewrites ? [] : drawConsumerGroups(random, profile, features),
    producers: isLoad ? 4 : of('producers').integer(2, 4),
    sendIntervalMs: isRewrites ? of('sends').integer(200, 500) : isLoad ? loadIntervalMs : of('sends').integer(700, 2_200),
    messagesPerSendMax: isRewrites || isLoad ? 1 : of('batches').pick([1, 1, 3, 8]),
    bodyBytesMax: isRewrites ? 700 : of('bodies').pick([64, 600, 5_000]),
    hasPlainBodies: isRewrites,
  }
}

/** Retention is only seen where segments and chunks are small. */
function drawLog(of: (name: string) => SimRandom, hasRetention: boolean): WorldConfiguration['log'] {
  const segmentBytes = of('segment').pick([64, 128, 256, 512]) * 1024
  const chunkBytes = of('chunk').pick([16, 32, 64]) * 1024
  if (!hasRetention) return { segmentBytes, chunkBytes, retention: undefined }
  const draw = of('retention')
  const smallBytes = draw.pick([8, 16, 32]) * 1024
  return {
    segmentBytes: smallBytes,
    chunkBytes: 8 * 1024,
    retention: {
      ageMs: draw.pick([0, 5_000, 20_000, 40_000]),
      sizeBytes: draw.pick([3, 6, 12]) * smallBytes,
      intervalMs: draw.pick([250, 1_000, 3_000]),
    },
  }
}

function drawFaults(random: SimRandom, profile: Profile, features: readonly Feature[]): Readonly<Partial<Record<FaultKind, number>>> {
  const plan = profilePlan(profile)
  const faults: Partial<Record<FaultKind, number>> = { ...plan.faults }
  const mean = (of: SimRandom, low: number, high: number): number => Math.round(spread(of, low, high))
  for (const kind of plan.drawn) {
    const { needs = [], everyMs = [6_000, 30_000] } = faultCatalog[kind]
    const of = random.stream('fault', kind)
    if (happens(of, 0.5) && needs.every(feature => features.includes(feature))) faults[kind] = mean(of, ...everyMs)
  }
  // Without a change of leader a seed shows little: one of the surest ways is always on.
  if (plan.drawn.length > 0) {
    const of = random.stream('fault')
    const surest = (['crashLeader', 'isolateLeader'] as const).filter(kind => plan.drawn.includes(kind))
    faults[of.pick(surest)] = mean(of, 6_000, 14_000)
  }
  return faults
}

function drawTopics(random: SimRandom, features: readonly Feature[]): readonly TopicPlan[] {
  const topics: TopicPlan[] = [{ name: 'orders', type: 'normal', queueCount: random.pick([1, 2, 4]), messageGroups: 0 }]
  topics.push({ name: 'accounts', type: 'fifo', queueCount: random.pick([1, 2, 4]), messageGroups: random.pick([1, 3, 8]) })
  if (features.includes('events')) topics.push({ name: 'events', type: 'normal', queueCount: random.pick([1, 8]), messageGroups: 0 })
  return topics
}

function drawConsumerGroups(random: SimRandom, profile: Profile, features: readonly Feature[]): readonly ConsumerGroupPlan[] {
  const isSlow = profile === 'deliveries'
  const draw = (name: string, topics: readonly string[], isFifo: boolean): ConsumerGroupPlan => {
    const of = random.stream('group', name)
    const share = (feature: Feature, low: number, high: number): number => {
      const drawn = spread(of, low, high)
      return features.includes(feature) ? drawn : 0
    }
    const autoRenew = happens(of, 0.7) && features.includes('renewals')
    return {
      name,
      topics,
      isFifo,
      autoRenew,
      consumers: of.integer(1, 3),
      maxAttempts: of.pick([3, 16]),
      invisibleMs: of.pick(isSlow ? [10_000, 20_000] : [1_000, 3_000, 10_000]),
      nackShare: share('nacks', 0.01, 0.2),
      forgetShare: autoRenew ? 0 : share('forgets', 0.01, 0.1),
      deadLetterShare: share('deadLetters', 0.01, 0.04),
      workMsMax: isSlow ? 6_000 : profile === 'load' ? 5 : of.pick([5, 100, 1_500]),
    }
  }
  const groups = [draw('billing', ['orders'], false), draw('ledger', ['accounts'], true)]
  if (features.includes('audit')) groups.push(draw('audit', ['orders', 'accounts'], false))
  return groups
}
