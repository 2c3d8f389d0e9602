/** Runs one test in a mutated copy of the sources: it must fail there, and by an assertion of its own. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Hunt, NamedTest } from './mutant.ts'

/** Of vitest's report what is read here. */
interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages: readonly string[]
    }[]
  }[]
}

const timeoutMs = 120_000

/** Rejects when the test is not there, or its file can't be loaded: such a mutant proves nothing. */
export function runTest(directory: string, id: string, test: NamedTest): Promise<Hunt> {
  const startedMs = performance.now()
  const reportPath = join(directory, 'report.json')
  const vitest = join(directory, 'node_modules', 'vitest', 'vitest.mjs')
  const wanted = test.name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const args = [vitest, 'run', test.file, '-t', wanted, '--reporter=json', `--outputFile=${reportPath}`]
  // In CI the configuration writes the report elsewhere.
  const env = { ...process.env }
  delete env.CI
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: directory, env, timeout: timeoutMs }, (error, _output, errors) => {
      if (error?.killed === true) return reject(new Error(`${id}: ${test.file} did not end within ${timeoutMs / 1_000} s`))
      const report = existsSync(reportPath) ? (JSON.parse(readFileSync(reportPath, 'utf8')) as Report) : undefined
      const result = report?.testResults.flatMap(file => file.assertionResults).find(({ fullName }) => fullName === test.name)
      if (result === undefined || (result.status !== 'failed' && result.status !== 'passed'))
        return reject(new Error(`${id}: there is no test "${test.name}" in ${test.file}: ${errors.slice(0, 2_000)}`))
      const isKilled = result.status === 'failed'
      resolve({
        id,
        end: isKilled ? 'killed' : 'survived',
        seed: undefined,
        violation: isKilled ? 'test' : undefined,
        what: isKilled ? `${test.name}: ${firstLine(result.failureMessages[0] ?? '')}` : undefined,
        seedsRun: 0,
        seconds: (performance.now() - startedMs) / 1_000,
        others: {},
      })
    })
  })
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? ''
}
