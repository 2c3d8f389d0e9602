/** Consumer groups: created by an operator, by a client's settings, or by their first pop (rule 20). What they were created with is theirs. */
import type { GroupSettings, RetryPolicy, StartPosition } from './command.ts'
import type { ConsumerGroupId } from './ids.ts'
import { defaultMaxAttempts, defaultRetryStepsMs } from './limits.ts'
import type { Place } from './cursors.ts'
import { type State, tags } from './state.ts'
import { type Cell, CellTable, newMark } from './tables/cell-table.ts'
import { type WordWriter, WordReader } from './tables/words.ts'

export interface Group extends Cell {
  readonly id: ConsumerGroupId
  readonly name: string
  readonly createdAtMs: number
  readonly start: StartPosition
  isFifo: boolean
  maxAttempts: number
  retry: RetryPolicy
  /** Derived: its rows in flight, waiting and blocked. */
  rowCount: number
  /** Derived: its places, by topic id. */
  readonly places: Map<number, Place>
}

export interface Groups {
  readonly byName: Map<string, Group>
  readonly byId: Map<number, Group>
  readonly table: CellTable<Group>
}

/** What a group gets that a pop calls into being. */
export const defaultSettings: GroupSettings = {
  isFifo: false,
  maxAttempts: defaultMaxAttempts,
  retry: { kind: 'customized', stepsMs: defaultRetryStepsMs },
}
const startLast: StartPosition = { kind: 'last' }

export function newGroups(): Groups {
  const groups: Groups = {
    byName: new Map(),
    byId: new Map(),
    table: new CellTable<Group>({
      tag: tags.groups,
      writeKey: (group, out) => void out.u32(group.id),
      writeValue: writeGroup,
      load: (key, value) => loadGroup(groups, key, value),
    }),
  }
  return groups
}

/** The group, created if need be; undefined when there are too many. */
export function ensureGroup(state: State, name: string, settings = defaultSettings, start = startLast): Group | undefined {
  const { groups, registers, limits } = state
  const existing = groups.byName.get(name)
  if (existing !== undefined) return existing
  if (groups.byName.size >= limits.groupsMax) return undefined
  const group = newGroup(registers.row.nextGroupId++ as ConsumerGroupId, name, registers.row.wallMs, settings, start)
  registers.table.changed(registers.row)
  groups.byName.set(name, group)
  groups.byId.set(group.id, group)
  groups.table.add(group)
  return group
}

function newGroup(id: ConsumerGroupId, name: string, createdAtMs: number, settings: GroupSettings, start: StartPosition): Group {
  const { isFifo, maxAttempts, retry } = settings
  return { id, name, createdAtMs, start, isFifo, maxAttempts, retry, rowCount: 0, places: new Map(), mark: newMark() }
}

/** How long a message waits after its `attempt`-th delivery failed (protocol reference §8.4). */
export function retryDelayMs(retry: RetryPolicy, attempt: number): number {
  const nth = Math.max(attempt, 1)
  if (retry.kind === 'customized') return retry.stepsMs[Math.min(nth, retry.stepsMs.length) - 1] ?? 0
  // Not Math.pow: its last digit may differ between builds, a product's may not.
  let delay = retry.initialMs
  for (let i = 1; i < nth && delay < retry.maxMs; i++) {
    const longer = delay * retry.multiplier
    if (longer === delay) break
    delay = longer
  }
  return Math.min(Math.floor(delay), retry.maxMs)
}

function writeGroup(group: Group, out: WordWriter): void {
  out.text(group.name).u64(group.createdAtMs).flag(group.isFifo).u32(group.maxAttempts)
  const { retry, start } = group
  if (retry.kind === 'exponential') {
    out
      .u32(0)
      .u32(retry.initialMs)
      .u32(retry.maxMs)
      .u32(Math.round(retry.multiplier * 1_000))
  } else {
    out.u32(retry.stepsMs.length)
    for (const step of retry.stepsMs) out.u32(step)
  }
  out.u32(start.kind === 'first' ? 1 : start.kind === 'last' ? 2 : 3)
  if (start.kind === 'time') out.u64(start.wallMs)
}

function readRetry(reader: WordReader): RetryPolicy {
  const steps = reader.u32()
  if (steps === 0) return { kind: 'exponential', initialMs: reader.u32(), maxMs: reader.u32(), multiplier: reader.u32() / 1_000 }
  const stepsMs: number[] = []
  for (let i = 0; i < steps && reader.problem === undefined; i++) stepsMs.push(reader.u32())
  return { kind: 'customized', stepsMs }
}

function readStart(reader: WordReader): StartPosition {
  const kind = reader.u32()
  if (kind === 3) return { kind: 'time', wallMs: reader.u64() }
  return kind === 1 ? { kind: 'first' } : { kind: 'last' }
}

function loadGroup(groups: Groups, key: Uint8Array, value: Uint8Array): string | undefined {
  const reader = new WordReader().open(key, 1)
  const id = reader.u32() as ConsumerGroupId
  const keyProblem = reader.end()
  reader.open(value, 0)
  const name = reader.text()
  const createdAtMs = reader.u64()
  const isFifo = reader.flag()
  const maxAttempts = reader.u32()
  const retry = readRetry(reader)
  const group = newGroup(id, name, createdAtMs, { isFifo, maxAttempts, retry }, readStart(reader))
  const problem = keyProblem ?? reader.end()
  if (problem !== undefined) return problem
  groups.byName.set(name, group)
  groups.byId.set(id, group)
  groups.table.addStored(group)
  return undefined
}
