/**
 * What a fault is and what it may do to the world. A kind of fault is one `Fault`, in a file of its own or in that of its family, and one line in
 * catalog.ts; nothing else needs to know of it. A fault strikes and gives back how it is undone; the world undoes it when its time is over, and
 * all of them before the drain. A fault that finds nobody to strike (no leader, the node is down already) gives nothing and is not counted.
 * Everything it leaves to chance comes from `powers.random`, a stream of that plan item alone.
 */
import type { Glance } from '../checkers/checker.ts'
import type { Feature } from '../features.ts'
import type { DiskOperation } from '../sim/disk-file.ts'
import type { SimRandom } from '../sim/random.ts'

/** A machine of the group as faults see it. Every act on a process that is not there does nothing. */
export interface Target {
  readonly id: number
  readonly isUp: boolean
  readonly isPaused: boolean
  isCutOff: boolean
  /** `power`: an arbitrary part of what was not synced is kept. `kill`: the process only; the kernel keeps its files and closes its connections. */
  crash(how: 'power' | 'kill'): void
  /** While it is down: the next life finds no checkpoint of the state. */
  loseCheckpoint(): void
  /** While it is down: one of the two slots of its hard state can't be read any more. */
  rotHardState(slot: 0 | 1): void
  /** Its process ends, and its next one finds an empty disk. False where the others could not bear the loss (lost-disks.ts). */
  loseDisk(how: 'power' | 'kill'): boolean
  /** A bit or a sector of some file is not what was written to it. False when nothing was there to rot. */
  rot(random: SimRandom): boolean
  /** It runs, and of what rots on it somebody has another copy: the group began with three nodes or more, or another one has all of its log on its disk. */
  readonly hasCopy: boolean
  /** More than half of all nodes, without this one, have all of its log on their disks: of what its disk takes back enough copies are left. */
  readonly isBackedUp: boolean
  /** While it is down: the last sync of some file wrote nothing, or to another place of it. False when there was none. */
  lie(random: SimRandom, isMisdirected: boolean): boolean
  /** What its next process life supports: the newest feature level, or one less, like the build before. Has no effect on a life that runs. */
  isOldBuild: boolean
  /** Orderly stop. */
  stop(): void
  /** The leadership goes to another member, if we have it. */
  handOverTo(member: number): void
  /** A new process life, from what is on the disk. */
  start(): void
  pause(): void
  resume(): void
  jumpWall(byMs: number): void
  /** Syncs take so many times as long. */
  slowDisk(factor: number): void
  /** Filled or failing: its process may stop itself, and stays down until `mendDisk`. */
  readonly isDiskBad: boolean
  /** From here on its files may grow by so many bytes altogether. */
  fillDisk(roomBytes: number): void
  /** The next operation of this kind fails. */
  failDisk(operation: DiskOperation): void
  /** The disk is well again; a process that had stopped itself is started. */
  mendDisk(): void
}

export interface LinkWeather {
  /** Share of the chunks that get lost. */
  readonly lossShare: number
  /** Share of the chunks in which a bit is turned over. */
  readonly flipShare?: number
  /** Added to each delay. */
  readonly extraDelayMs: number
}

/** Who changes the members of the group. Each wish says whether there was anything to ask for. */
export interface Operator {
  add(random: SimRandom): boolean
  remove(random: SimRandom): boolean
  replace(random: SimRandom): boolean
  cancel(random: SimRandom): boolean
  /** Members are being changed now. */
  readonly isChanging: boolean
}

export interface FaultPowers {
  readonly operator: Operator
  readonly targets: readonly Target[]
  /** The one machine of this seed whose disk may harm what it holds: no more than one copy of any byte is lost. */
  readonly frail: Target
  /** Who leads in the highest term; undefined when nobody does. */
  leader(): Target | undefined
  /** From here on nothing gets from one node to the other. Undone by `connect`. */
  disconnect(from: number, to: number): void
  connect(from: number, to: number): void
  /** Breaks all connections between two nodes. */
  reset(left: number, right: number): void
  weather(left: number, right: number, weather: LinkWeather | undefined): void
  /** What a sync usually takes: how long a write is in danger. */
  readonly syncMs: number
  after(delayMs: number, run: () => void): void
  /** Tells of every change of a node until the returned function is called. */
  watch(onChange: (target: Target, now: Glance, before: Glance) => void): () => void
  /** Tells of every batch that a node begins to hand out, until the returned function is called. */
  onHandOut(listener: (target: Target) => void): () => void
  /** The item's own stream. */
  readonly random: SimRandom
}

export type Undo = () => void

export type Strike = (powers: FaultPowers) => Undo | undefined

export interface Fault {
  /** In half a sentence. */
  readonly about: string
  /** Shortest and longest time from its strike to its undoing, drawn log-evenly: short ones end before an election, long ones after several. */
  readonly lastsMs: (electionTimeoutMs: number) => readonly [low: number, high: number]
  /** Range of the mean time between two strikes in a seed that draws it (6–30 s unless told). */
  readonly everyMs?: readonly [low: number, high: number]
  /** Strikes only in seeds where these features are on. */
  readonly needs?: readonly Feature[]
  readonly strike: Strike
}
