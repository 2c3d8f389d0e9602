/** `raftmq bench`: the benchmark of bench/, from the command line. */
export interface BenchOptions {
  readonly output: 'table' | 'json'
  readonly seconds: string
  readonly only?: string
}

export async function bench(options: BenchOptions): Promise<void> {
  const { printBench } = await import('../../bench/points.ts')
  await printBench({ isJson: options.output === 'json', seconds: Number(options.seconds), only: options.only })
}
