/**
 * `raftmq chaos sim`: runs seeds of the simulated world and says what they came to. `raftmq chaos mutants`: plants known mistakes in a copy of the
 * sources and shows which property names them. The harness is loaded only when one of these runs.
 *
 * Exit codes: 0 valid · 1 a promise was broken · 2 usage · 3 the harness itself failed, or a file can't be read · 5 unknown (nothing broke, but too
 * little was tried) · 130 interrupted (the summary of what was done comes all the same).
 */
import { Command, InvalidArgumentError, Option } from 'commander'
import type { SeedOutcome } from '../../chaos/outcome.ts'
import { simProgressLine } from './chaos-progress.ts'
import { ExitCode } from './exit.ts'

const profileNames = [
  'swarm',
  'crash',
  'liveness',
  'membership',
  'elections',
  'rewrites',
  'power',
  'deliveries',
  'rot',
  'lies',
  'wiped',
  'slowDisks',
  'load',
] as const
type ProfileName = (typeof profileNames)[number]

const simExitCodeHelp = `
Exit codes: 0 valid, 1 a promise was broken, 2 usage, 3 the harness failed or a file can't be read,
5 unknown (nothing broke, but too little was tried), 130 interrupted (1 if a seed had failed).`

/** So many failed seeds are made small and written down. */
const keptMax = 3

interface SimOptions {
  readonly seeds: number
  readonly from: number
  readonly jobs: number
  readonly seed?: number
  readonly profile?: ProfileName
  readonly minutes?: number
  readonly lite?: boolean
  readonly replay?: string
  readonly marks?: boolean
  readonly keep: string
  readonly shrinkSeconds: number
  readonly maxFailures: number
  readonly output: 'text' | 'json'
  readonly json?: boolean
}

interface MutantOptions {
  readonly only?: readonly string[]
  readonly jobs: number
  readonly minutes?: number
  readonly pick?: number
  readonly open?: boolean
  readonly from: number
  readonly seeds?: number
  readonly output: 'text' | 'json'
  readonly json?: boolean
}

export function chaosCommand(): Command {
  const chaos = new Command('chaos').description('prove the cluster: a simulated world, and mutants that it must catch')
  chaos
    .command('sim')
    .description('run seeds of the simulated world')
    .addHelpText('after', simExitCodeHelp)
    .option('--seeds <n>', 'how many seeds', count, 100)
    .option('--from <seed>', 'the first seed', seedNumber, 1)
    .option('--jobs <n>', 'threads', count, 1)
    .addOption(new Option('--seed <seed>', 'run one seed and print its timeline').argParser(seedNumber).conflicts('seeds'))
    .option('--profile <name>', `what the seeds are about: ${profileNames.join(', ')}`, profile)
    .option('--minutes <n>', 'begin no seed after this long', count)
    .option('--lite', 'look after every 64th event only, with fewer checkers')
    .option('--replay <file>', 'run the file of a failed seed and print its timeline')
    .option('--marks', 'list the situations that were met, and those that were not')
    .option('--keep <directory>', 'where the files of failed seeds go', 'chaos-failures')
    .option('--shrink-seconds <n>', 'how long each failed seed is made smaller', count, 300)
    .option('--max-failures <n>', 'stop after so many failed seeds', count, 5)
    .addOption(output())
    .option('--json', 'the same as -o json: a line for each seed, then the summary')
    .action(sim)
  chaos
    .command('mutants')
    .description('plant known mistakes in a copy of the sources and see each one named')
    .option('--only <ids...>', 'these mutants; M1* means all whose names begin so')
    .option('--jobs <n>', 'mutants at the same time', count, 1)
    .option('--minutes <n>', 'begin no further one after so long; the order is drawn', count)
    .option('--pick <n>', 'draws the order of --minutes', seedNumber)
    .option('--open', 'also those that nobody has seen killed yet')
    .option('--from <seed>', 'the first seed of each hunt', seedNumber, 1)
    .option('--seeds <n>', 'at most so many seeds for each', count)
    .addOption(output())
    .option('--json', 'the same as -o json')
    .action(mutants)
  return chaos
}

async function sim(options: SimOptions): Promise<void> {
  try {
    process.exitCode =
      options.replay !== undefined
        ? await simFile(options.replay, options)
        : options.seed === undefined
          ? await simMany(options)
          : await simOne(options.seed, options)
  } catch (error) {
    process.stderr.write(`${error instanceof UnreadableRun ? error.message : `the simulator failed: ${told(error)}`}\n`)
    process.exitCode = 3
  }
}

async function simMany(options: SimOptions): Promise<number> {
  const { runSeeds } = await import('../../chaos/run-seeds.ts')
  const { describeFailure, describeSummary, describeVerdict, exitCodes, replayCommand } = await import('../../chaos/report.ts')
  const failed: SeedOutcome[] = []
  const startedMs = performance.now()
  let done = 0
  let simulatedMs = 0
  const draw = (): void => {
    const { isTTY, columns } = process.stderr
    if (!isTTY || wantsJson(options)) return
    const progress = { done, of: options.seeds, failed: failed.length, simulatedMs, seconds: (performance.now() - startedMs) / 1_000 }
    process.stderr.write(`\r${simProgressLine(progress, columns)}\u001b[K`)
  }
  const clear = (): void => {
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  }
  const interrupt = new AbortController()
  // The second one ends the process, as if nobody listened.
  const onInterrupt = (): void => {
    clear()
    process.stderr.write('stopping after the seeds under way; once more to stop at once\n')
    interrupt.abort()
  }
  process.once('SIGINT', onInterrupt)
  draw()
  const summary = await runSeeds({
    seeds: options.seeds,
    from: options.from,
    jobs: options.jobs,
    profile: options.profile,
    isLite: options.lite,
    minutesMax: options.minutes,
    failuresMax: options.maxFailures,
    signal: interrupt.signal,
    onOutcome(outcome) {
      done += 1
      simulatedMs += outcome.simulatedMs
      if (outcome.violation !== undefined) failed.push(outcome)
      const { seed, profile, violation } = outcome
      if (wantsJson(options)) print(JSON.stringify({ kind: 'seed', ...outcome, lines: undefined, configuration: undefined }))
      else if (violation !== undefined) {
        clear()
        print(
          describeFailure({ seed, profile, id: violation.id, what: violation.what, atMs: violation.atMs, replay: replayCommand(outcome) }),
        )
      }
      draw()
    },
  })
  process.off('SIGINT', onInterrupt)
  clear()
  const columns = process.stdout.isTTY ? process.stdout.columns : undefined
  print(wantsJson(options) ? JSON.stringify(summary) : describeSummary(summary, { columns, listsMarks: options.marks }))
  if (interrupt.signal.aborted) return summary.verdict === 'anomaly' ? exitCodes.anomaly : ExitCode.interrupted
  if (options.lite !== true) await keep(failed, options)
  // What was kept has its lines in between: the last one is the one that counts.
  if (!wantsJson(options)) print(describeVerdict(summary))
  return exitCodes[summary.verdict]
}

function told(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** The file that was named holds no run. */
class UnreadableRun extends Error {}

/** Makes the first failed seeds small and writes a file for each. */
async function keep(failed: readonly SeedOutcome[], options: SimOptions): Promise<void> {
  const { keepFailure } = await import('../../chaos/failure.ts')
  for (const outcome of failed.slice(0, keptMax)) {
    const { path, items, itemsBefore, runs, seconds } = keepFailure(outcome, options.keep, options.shrinkSeconds * 1_000)
    const line = `seed ${outcome.seed}: from ${itemsBefore} plan items to ${items} in ${runs} runs, ${seconds.toFixed(0)} s`
    if (wantsJson(options)) print(JSON.stringify({ kind: 'kept', seed: outcome.seed, path, items, itemsBefore, runs, seconds }))
    else print(`${line}\n  replay: npx raftmq chaos sim --replay ${path}`)
  }
}

async function simFile(path: string, options: SimOptions): Promise<number> {
  const { readRegression, runRegression } = await import('../../chaos/regression-file.ts')
  const readRun = (from: string): ReturnType<typeof readRegression> => {
    try {
      const regression = readRegression(from)
      if (regression.run === undefined && (regression.seeds ?? []).length === 0) throw new Error('it names neither seeds nor a run')
      return regression
    } catch (error) {
      throw new UnreadableRun(`${from} can't be read as the file of a run: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  let code = 0
  for (const outcome of runRegression(readRun(path), true)) code = Math.max(code, printRun(outcome, options))
  return code
}

async function simOne(seed: number, options: SimOptions): Promise<number> {
  const { runSeed } = await import('../../chaos/world.ts')
  const isLite = options.lite === true
  const outcome = runSeed(seed, { keepsLines: true, isLite, ...(options.profile === undefined ? {} : { profile: options.profile }) })
  return printRun(outcome, options)
}

/** The timeline of one run, for people. */
function printRun(outcome: SeedOutcome, options: SimOptions): number {
  if (wantsJson(options)) print(JSON.stringify(outcome))
  else {
    print(outcome.configuration)
    for (const { atMs, who, text } of outcome.lines) print(`${(atMs / 1_000).toFixed(6).padStart(11)}  ${who.padEnd(8)}  ${text}`)
    if (outcome.violation?.stack !== undefined) print(outcome.violation.stack)
    print(
      `seed ${outcome.seed}: ${outcome.violation === undefined ? 'no promise broken' : `${outcome.violation.id}: ${outcome.violation.what}`}; ` +
        `${(outcome.simulatedMs / 1_000).toFixed(1)} s, ${outcome.events} events, ${outcome.committedEntries} entries, ` +
        `${outcome.counts.operations} operations, ${outcome.leaderChanges} changes of leader; trace ${outcome.hash}`,
    )
  }
  return outcome.violation === undefined ? 0 : 1
}

async function mutants(options: MutantOptions): Promise<void> {
  try {
    const { runMutants } = await import('../../chaos/mutants/run.ts')
    process.exitCode = await runMutants({ ...options, json: wantsJson(options), print })
  } catch (error) {
    process.stderr.write(`the mutants could not be run: ${told(error)}\n`)
    process.exitCode = 3
  }
}

function output(): Option {
  return new Option('-o, --output <format>', 'how results are printed').choices(['text', 'json']).default('text')
}

function wantsJson(options: SimOptions | MutantOptions): boolean {
  return options.json === true || options.output === 'json'
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function count(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 is wanted')
  return value
}

function seedNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number from 0 is wanted')
  return value
}

function profile(text: string): ProfileName {
  const known = profileNames.find(name => name === text)
  if (known === undefined) throw new InvalidArgumentError(`one of ${profileNames.join(', ')} is wanted`)
  return known
}
