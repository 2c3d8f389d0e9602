/** `raftmq bench`: the benchmark of bench/, from the command line. */
import { CliError, ExitCode } from './exit.ts'

export interface BenchOptions {
  readonly output: 'table' | 'json'
  readonly seconds: number
  readonly only?: string
}

export async function bench({ output, seconds, only = '' }: BenchOptions): Promise<void> {
  const { plansFor, pointNames, printBench } = await import('../../bench/points.ts')
  const chosen = plansFor(only)
  if (chosen.length === 0) throw new CliError(ExitCode.usage, `--only ${only}: no such point; there are ${pointNames().join(', ')}`)
  await printBench({ isJson: output === 'json', seconds, chosen })
}
