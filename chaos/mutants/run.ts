/**
 * Plants each mutant in a copy of the sources (in the system's temporary directory, with node_modules linked) and hunts for it there with the
 * simulator. The repository itself is never changed. Needs the sources: it works in a clone, not in an installed package.
 */
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SimRandom } from '../sim/random.ts'
import type { HuntOrder } from './hunt.ts'
import { mutants } from './list.ts'
import { editsOf, seedsMax, type Edit, type Hunt, type Mutant } from './mutant.ts'
import { runTest } from './run-test.ts'
import { describeHunt, describeHunts, tellHunts } from './table.ts'

export interface RunMutantsOptions {
  /** Ids, or beginnings of ids that end in `*`. */
  readonly only?: readonly string[] | undefined
  readonly jobs: number
  /** No hunt begins after this. The order is then drawn from `pick`, so that every run with another number sees other mutants. */
  readonly minutes?: number | undefined
  readonly pick?: number | undefined
  /** Also those that nobody has seen killed yet. */
  readonly open?: boolean
  /** The first seed of each hunt. */
  readonly from?: number
  /** At most so many seeds for each, whatever the mutant says. */
  readonly seeds?: number | undefined
  readonly json?: boolean
  print(line: string): void
}

/** What a copy needs to run the simulator. */
const copied = ['src', 'raft', 'chaos', 'proto', 'package.json', 'tsconfig.json']

/** … and what a test needs besides. */
const copiedForTests = ['test', 'vitest.config.ts']

/** Hunts for the mutants and prints a table; 0 when all were killed, 1 when one was not, 2 when there is none of that name. */
export async function runMutants(options: RunMutantsOptions): Promise<number> {
  const unknown = (options.only ?? []).find(name => !mutants.some(({ id }) => isNamed(id, name)))
  if (unknown !== undefined) {
    options.print(
      noSuchMutant(
        unknown,
        mutants.map(({ id }) => id),
      ),
    )
    return 2
  }
  const wanted = choose(options)
  const root = repositoryRoot()
  const endMs = performance.now() + (options.minutes ?? Infinity) * 60_000
  const waiting = [...wanted]
  const hunts: Hunt[] = []
  const job = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const result = await huntMutant(root, mutant, options.from, options.seeds)
      hunts.push(result)
      options.print(options.json === true ? JSON.stringify({ kind: 'mutant', ...result }) : describeHunt(mutant, result))
      if (performance.now() > endMs) waiting.length = 0
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, job))
  const summary = tellHunts(hunts, mutants.length - wanted.length)
  options.print(options.json === true ? JSON.stringify({ kind: 'mutants', ...summary }) : describeHunts(summary))
  return summary.killed === hunts.length ? 0 : 1
}

function isNamed(id: string, name: string): boolean {
  return name.endsWith('*') ? id.startsWith(name.slice(0, -1)) : id === name
}

/** How many of the ids that begin as the unknown one does are named. */
const nearIdsMax = 8

/** Ids are a letter and a number, so the near ones are those with the longest common beginning. */
export function noSuchMutant(name: string, ids: readonly string[]): string {
  const wanted = name.replace(/\*$/, '')
  const all = `there are ${ids.length}, from ${ids[0] ?? ''} to ${ids.at(-1) ?? ''}; ${[...new Set(ids.map(id => `${id.slice(0, 1)}*`))].join(', ')} take many`
  for (let length = wanted.length; length > 0; length--) {
    const near = ids.filter(id => id.startsWith(wanted.slice(0, length)))
    if (near.length > 0)
      return `there is no mutant ${name}; near it: ${near.slice(0, nearIdsMax).join(', ')}${near.length > nearIdsMax ? ` and ${near.length - nearIdsMax} more` : ''}`
  }
  return `there is no mutant ${name}; ${all}`
}

function choose({ only, open = false, minutes, pick }: RunMutantsOptions): readonly Mutant[] {
  const isWanted = (id: string): boolean => only === undefined || only.some(name => isNamed(id, name))
  const wanted = mutants.filter(mutant => isWanted(mutant.id) && (only !== undefined || open || mutant.open === undefined))
  return minutes === undefined ? wanted : new SimRandom(`mutants/${pick ?? 0}`).shuffle(wanted)
}

/** One mutant, from the copy to the verdict. Rejects when the mutated world can't even be loaded: such a mutant proves nothing. */
export async function huntMutant(root: string, mutant: Mutant, from = 1, seedsLimit = Infinity): Promise<Hunt> {
  const directory = mkdtempSync(join(tmpdir(), `raftmq-${mutant.id.toLowerCase()}-`))
  try {
    const { test } = mutant
    for (const name of test === undefined ? copied : [...copied, ...copiedForTests])
      cpSync(join(root, name), join(directory, name), { recursive: true, filter: path => test !== undefined || !path.endsWith('.test.ts') })
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
    for (const edit of editsOf(mutant)) plant(directory, edit)
    if (test !== undefined) return await runTest(directory, mutant.id, test)
    const { id, profile = 'swarm', seeds = seedsMax, expected } = mutant
    return await huntIn(directory, { id, profile, from, seeds: Math.min(seeds, seedsLimit), expected })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Changes the one place that the edit names; throws when it is not there exactly once. */
export function plant(root: string, edit: Edit): void {
  const path = join(root, edit.file)
  const pieces = readFileSync(path, 'utf8').split(edit.find)
  if (pieces.length !== 2) throw new Error(`${edit.file}: the text to change stands there ${pieces.length - 1} times`)
  writeFileSync(path, pieces.join(edit.replace))
}

function huntIn(directory: string, order: HuntOrder): Promise<Hunt> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'chaos/mutants/hunt.ts', JSON.stringify(order)], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.once('error', reject)
    child.once('close', code => {
      const last = output.trim().split('\n').at(-1)
      if (code === 0 && last?.startsWith('{') === true) resolve(JSON.parse(last) as Hunt)
      else reject(new Error(`${order.id}: the hunt ended with ${code ?? 'a signal'}: ${errors.trim().slice(0, 2_000)}`))
    })
  })
}

/** The clone this file belongs to, whether it runs from the sources or from dist. */
export function repositoryRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'chaos', 'mutants', 'list.ts'))) {
    const parent = dirname(directory)
    if (parent === directory) throw new Error('the sources are not here: mutants can only be planted in a clone')
    directory = parent
  }
  return directory
}
