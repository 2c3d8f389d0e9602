/**
 * Plants each mutant in a copy of the sources (in the system's temporary directory, with node_modules linked) and hunts for it there with the
 * simulator. The repository itself is never changed. Needs the sources: it works in a clone, not in an installed package.
 */
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { HuntOrder } from './hunt.ts'
import { mutants } from './list.ts'
import { editsOf, type Edit, type Hunt, type Mutant } from './mutant.ts'

export interface RunMutantsOptions {
  readonly only?: string
  readonly jobs: number
  readonly json?: boolean
  print(line: string): void
}

/** What a copy needs to run the simulator. */
const copied = ['src', 'raft', 'chaos', 'proto', 'package.json', 'tsconfig.json']

/** Hunts for the mutants and prints a table; 0 when all were caught, 1 when one got away, 2 when there is none of that name. */
export async function runMutants(options: RunMutantsOptions): Promise<number> {
  const wanted = mutants.filter(mutant => options.only === undefined || mutant.id === options.only)
  if (wanted.length === 0) {
    options.print(`there is no mutant ${options.only ?? ''}; there are ${mutants.map(mutant => mutant.id).join(', ')}`)
    return 2
  }
  const root = repositoryRoot()
  const waiting = [...wanted]
  const hunts: Hunt[] = []
  const job = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const result = await huntMutant(root, mutant)
      hunts.push(result)
      options.print(options.json === true ? JSON.stringify({ kind: 'mutant', ...result }) : describeHunt(mutant, result))
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, job))
  const caught = hunts.filter(result => result.isCaught).length
  if (options.json === true) options.print(JSON.stringify({ kind: 'mutants', caught, of: hunts.length }))
  else options.print(`${caught} of ${hunts.length} mutants caught`)
  return caught === hunts.length ? 0 : 1
}

/** One mutant, from the copy to the verdict. */
export async function huntMutant(root: string, mutant: Mutant): Promise<Hunt> {
  const directory = mkdtempSync(join(tmpdir(), `raftmq-${mutant.id.toLowerCase()}-`))
  try {
    for (const name of copied) cpSync(join(root, name), join(directory, name), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
    for (const edit of editsOf(mutant)) plant(directory, edit)
    const { id, profile, seeds, expected } = mutant
    return await huntIn(directory, { id, profile, from: 1, seeds, expected })
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
    const tsx = join(directory, 'node_modules', 'tsx', 'dist', 'cli.mjs')
    const child = spawn(process.execPath, [tsx, 'chaos/mutants/hunt.ts', JSON.stringify(order)], {
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

function describeHunt(mutant: Mutant, result: Hunt): string {
  const name = mutant.id.padEnd(8)
  if (result.isCaught) {
    return `${name} caught   ${result.violation ?? ''} by seed ${result.seed ?? 0} (${mutant.profile}), ${result.seconds.toFixed(1)} s: ${mutant.what}\n         ${result.what ?? ''}`
  }
  const others = Object.entries(result.others).map(([what, count]) => `${count} × ${what}`)
  return `${name} GOT AWAY after ${result.seedsRun} seeds, ${result.seconds.toFixed(1)} s: ${mutant.what}${others.length === 0 ? '' : `\n         ${others.join('\n         ')}`}`
}
