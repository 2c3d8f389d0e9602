/** What a batch of seeds is about. A profile decides which faults and features a seed must have, may have or may not have; the rest is drawn. */
import { faultKinds, type FaultKind } from './faults/catalog.ts'
import type { Feature } from './features.ts'

export interface ProfilePlan {
  readonly about: string
  /** In every seed: mean milliseconds between two strikes. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>
  /** Each of these is on in half of the seeds, as often as it is drawn. */
  readonly drawn: readonly FaultKind[]
  /** On or off in every seed; the others are drawn. */
  readonly features: Readonly<Partial<Record<Feature, boolean>>>
}

/** Calm of the network and the clocks: only what happens to processes and their disks. */
const crashKinds = [
  'crashLeader',
  'crashNode',
  'crashPair',
  'crashAll',
  'crashVoter',
  'crashVoters',
  'crashHandingOut',
  'crashRewriting',
  'stopNode',
  'pauseNode',
  'pauseLeader',
  'transferLeader',
  'slowDisk',
  'loseState',
] as const satisfies readonly FaultKind[]

const noLinkFaults = { loss: false, duplicates: false, reorders: false } as const

const plans = {
  swarm: { about: 'everything, drawn anew for each seed', faults: {}, drawn: faultKinds, features: {} },
  crash: { about: 'crashes, power cuts and slow disks on a good network', faults: {}, drawn: crashKinds, features: noLinkFaults },
  liveness: {
    about: 'everything, and a bare quorum must serve before the rest is healed',
    faults: {},
    drawn: faultKinds,
    features: { core: true },
  },
  membership: {
    about: 'one, three, five and three nodes again, with everything else going on',
    faults: { memberAdd: 9_000, memberRemove: 14_000, memberReplace: 16_000, memberCancel: 25_000 },
    drawn: faultKinds.filter(kind => !kind.startsWith('member')),
    features: { membership: true },
  },
  elections: {
    about: 'elections are forced close together, with crashes around them',
    faults: {
      transferLeader: 2_500,
      crashLeader: 5_000,
      crashVoter: 3_000,
      crashVoters: 3_000,
      bridge: 5_000,
      isolateLeader: 9_000,
      loseVoteSlot: 12_000,
    },
    drawn: [],
    features: {},
  },
  rewrites: {
    about: 'equal records, leaders cut off as they are elected, crashes while logs are rewritten; no consumers',
    faults: { rivals: 5_000, isolateNewLeader: 9_000, crashRewriting: 2_500, crashLeader: 12_000 },
    drawn: [],
    features: { events: false, membership: false },
  },
  power: {
    about: 'power is cut on two or three nodes at once, again and again',
    faults: { crashAll: 4_500, crashPair: 4_000, crashLeader: 9_000 },
    drawn: [],
    features: {},
  },
  deliveries: {
    about: 'slow consumers and long invisible times across changes of leader',
    faults: { crashLeader: 7_000, pauseNode: 12_000, crashHandingOut: 6_000 },
    drawn: [],
    features: {},
  },
  rot: {
    about: 'one disk rots, at work and at rest, while nodes crash and links are cut',
    faults: { rotAtWork: 4_000, rotAtRest: 9_000, crashNode: 12_000, crashLeader: 15_000 },
    drawn: ['crashAll', 'isolateLeader', 'stopNode', 'loseState', 'slowDisk', 'transferLeader'],
    features: { frailDisk: true },
  },
  lies: {
    about: 'one disk says that it has written, and has not, or to another place; and rots',
    faults: { loseWrite: 5_000, misdirectWrite: 5_000, rotAtRest: 20_000, crashNode: 20_000, crashLeader: 20_000 },
    drawn: ['crashAll', 'isolateLeader', 'stopNode', 'rotAtWork', 'transferLeader'],
    features: { frailDisk: true, lyingDisk: true },
  },
  wiped: {
    about: 'machines come back with empty disks, and the operator sees to it; members come and go, nodes crash',
    faults: { lostDisk: 8_000, lostDiskAmongChanges: 12_000, crashLeader: 20_000 },
    drawn: [
      ...crashKinds.filter(kind => kind !== 'crashLeader'),
      'memberAdd',
      'memberRemove',
      'memberReplace',
      'memberCancel',
      'isolateNode',
      'isolateLeader',
      'clientCut',
      'clockHour',
    ],
    features: { lostDisk: true, membership: true },
  },
  slowDisks: {
    about: 'the disk of whoever leads becomes slow for long, with little else that is wrong',
    faults: { leaderDiskSlow: 14_000, transferLeader: 60_000, crashLeader: 60_000 },
    drawn: [],
    features: { ...noLinkFaults, core: false },
  },
  load: {
    about: 'two hundred calls a second, through a few faults: for the speed of the simulator',
    faults: { crashLeader: 15_000, pauseNode: 25_000, lossyLink: 20_000 },
    drawn: [],
    features: { retention: false, core: false, oldBuilds: false, audit: false, events: false, membership: false },
  },
} as const satisfies Readonly<Record<string, ProfilePlan>>

export type Profile = keyof typeof plans

export const profiles = Object.keys(plans) as readonly Profile[]

export function profilePlan(profile: Profile): ProfilePlan {
  return plans[profile]
}
