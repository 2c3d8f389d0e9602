/** Runs the load generator in a process of its own. */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import type { GeneratorOrder, GeneratorReport } from './generator.ts'

const run = promisify(execFile)

/** Ends when the load has ended. */
export async function generate(order: GeneratorOrder): Promise<GeneratorReport> {
  const { stdout } = await run(process.execPath, [resolve(import.meta.dirname, 'generator.js'), JSON.stringify(order)])
  return JSON.parse(stdout) as GeneratorReport
}
