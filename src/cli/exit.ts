/** How a command ends. The numbers are part of the interface: scripts rely on them. */
export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  unavailable: 6,
  outcomeUnknown: 7,
  diskFailed: 74,
  interrupted: 130,
} as const
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/** For `raftmq help`. */
export const exitCodeHelp =
  '0 ok, 1 failed, 2 usage or configuration, 3 not found, 4 exists or conflict, 6 unavailable (again may help), 7 outcome unknown, 74 disk failed, 130 interrupted'

/** Ends the command with this sentence on standard error and this exit code. */
export class CliError extends Error {
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, message: string) {
    super(message)
    this.name = 'CliError'
    this.exitCode = exitCode
  }
}
