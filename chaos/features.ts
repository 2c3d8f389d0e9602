/**
 * The features of the swarm: things the clients, links, disks and nodes of a seed do or do not do. Each is on in its share of the seeds, drawn from a
 * stream of its own name: a new one, or one forced on or off, does not shift the others. A mix with everything on hides what needs much of one thing.
 *
 * A new feature is a line here, and whoever acts on it asks `configuration.features.has…` through `hasFeature`.
 */
import { happens } from './chance.ts'
import type { SimRandom } from './sim/random.ts'

interface FeaturePlan {
  readonly about: string
  /** Share of the seeds in which it is on. */
  readonly share: number
}

const plans = {
  twins: { about: 'two clients with one id and equal message ids for different messages', share: 0.4 },
  renewals: { about: 'consumers whose deliveries are renewed while they live', share: 0.4 },
  nacks: { about: 'consumers that give messages back', share: 0.5 },
  forgets: { about: 'consumers that forget messages', share: 0.5 },
  deadLetters: { about: 'consumers that send messages to the dead letters', share: 0.3 },
  brokenStreams: { about: 'deliveries whose stream breaks in the middle of a batch', share: 0.7 },
  deaths: { about: 'consumers that die with messages in hand, and others that take their place', share: 0.4 },
  resplits: { about: 'producers that send a part of a batch first, and then all of it', share: 0.4 },
  events: { about: 'a third topic, with other queues', share: 0.5 },
  audit: { about: 'a consumer group of several topics', share: 0.5 },
  loss: { about: 'links that lose chunks', share: 0.5 },
  duplicates: { about: 'links that repeat chunks', share: 0.5 },
  reorders: { about: 'links where chunks come late', share: 0.5 },
  core: { about: 'after the storm a bare quorum must serve first, while the rest stays broken', share: 0.25 },
  oldBuilds: { about: 'all nodes begin as the build before: one feature level less', share: 0.3 },
  retention: { about: 'small segments, of which the oldest are deleted while it runs', share: 0.3 },
  membership: { about: 'nodes are added, removed and replaced while everything goes on', share: 0.1 },
  lostDisk: { about: 'machines come back with an empty disk', share: 0.1 },
  diskSpikes: { about: 'disks that are sometimes slow', share: 0.5 },
  frailDisk: { about: 'one machine whose disk may rot', share: 0.35 },
  // Only where a profile asks for it: not yet seen clean over many seeds of all else together.
  lyingDisk: { about: 'the disk that may rot takes back syncs that it has acknowledged', share: 0 },
} as const satisfies Readonly<Record<string, FeaturePlan>>

export type Feature = keyof typeof plans

export const featureNames = Object.keys(plans) as readonly Feature[]

/** In half a sentence. */
export function aboutFeature(feature: Feature): string {
  return plans[feature].about
}

/** Draws the features of a seed; `forced` ones are on or off whatever the draw says. */
export function drawFeatures(random: SimRandom, forced: Readonly<Partial<Record<Feature, boolean>>> = {}): readonly Feature[] {
  return featureNames.filter(name => forced[name] ?? happens(random.stream('feature', name), plans[name].share))
}
