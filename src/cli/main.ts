#!/usr/bin/env node
/** `raftmq`: runs one command line. What there is to run is in program.ts. */
import { ExitCode } from './exit.ts'
import { run } from './program.ts'

// A reader that has seen enough (head, less) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(ExitCode.ok)
  throw error
})

process.exitCode = await run(process.argv.slice(2))
