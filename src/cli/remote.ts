/** What all commands that ask a cluster share: their options, the client's life, and the administration's answers as exit codes. */
import type { raftmq } from '#proto/raftmq-v1.js'
import { ClusterClient, parseEndpoints, v1 } from './client.ts'
import { CliError, ExitCode } from './exit.ts'
import type { OutputFormat } from './terminal.ts'

export interface RemoteOptions {
  readonly endpoint: string
  readonly output: OutputFormat
}

/** Runs `use` with a client, which is closed afterwards. */
export async function withCluster<T>(options: RemoteOptions, use: (cluster: ClusterClient) => Promise<T>): Promise<T> {
  const cluster = new ClusterClient(parseEndpoints(options.endpoint))
  try {
    return await use(cluster)
  } finally {
    cluster.close()
  }
}

type Status = raftmq.v1.AdminStatus.$Properties | null | undefined

/** The node that answers says that asking again may help. */
export function isUnavailable(answer: { readonly status?: Status }): boolean {
  return answer.status?.code === v1.AdminStatus.Code.UNAVAILABLE
}

/** Throws what a status that is not OK means for the command. */
export function mustBeOk(status: Status): void {
  const code = status?.code ?? v1.AdminStatus.Code.INTERNAL
  if (code === v1.AdminStatus.Code.OK) return
  const message = status?.message ?? ''
  throw new CliError(exitCodeOf(code), message === '' ? `the node answered ${v1.AdminStatus.Code[code]}` : message)
}

function exitCodeOf(code: raftmq.v1.AdminStatus.Code): ExitCode {
  switch (code) {
    case v1.AdminStatus.Code.INVALID:
      return ExitCode.usage
    case v1.AdminStatus.Code.NOT_FOUND:
      return ExitCode.notFound
    case v1.AdminStatus.Code.CONFLICT:
      return ExitCode.conflict
    case v1.AdminStatus.Code.UNAVAILABLE:
      return ExitCode.unavailable
    case v1.AdminStatus.Code.UNKNOWN_OUTCOME:
      return ExitCode.outcomeUnknown
    default:
      return ExitCode.failed
  }
}
