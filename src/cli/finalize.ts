/** `raftmq cluster finalize`: the end of a rolling upgrade. */
import { methods } from './client.ts'
import { isUnavailable, mustBeOk, withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { print, printJson } from './terminal.ts'

export async function finalizeUpgrade(options: RemoteOptions): Promise<void> {
  const answer = await withCluster(options, cluster => cluster.ask(methods.finalizeUpgrade, {}, isUnavailable))
  mustBeOk(answer.status)
  const { before, level } = answer
  if (options.output === 'json') {
    printJson({ before, level })
    return
  }
  print(
    before === level
      ? `feature level ${level}: there is nothing to finalise`
      : `feature level ${before} → ${level}: builds that support less cannot come back`,
  )
}
