/** `raftmq group create`: a consumer group with settings of its own, before its first consumer would make it with the defaults. */
import { parseDuration } from '../node/config-units.ts'
import { methods, v1, type ClusterClient } from './client.ts'
import { CliError, ExitCode } from './exit.ts'
import { isUnavailable, mustBeOk, withCluster, type RemoteOptions } from './remote.ts'
import { print, printJson } from './terminal.ts'

export interface CreateGroupOptions extends RemoteOptions {
  /** Topics in which it gets its place now. */
  readonly topic: readonly string[]
  readonly from: 'first' | 'last'
  readonly fifo?: boolean
  readonly maxAttempts?: number
  /** Pauses before each further attempt; the last one repeats. */
  readonly retry: readonly string[]
  /** Changes the settings of a group that is there. */
  readonly replace?: boolean
}

const maxAttemptsDefault = 17
/** The table of RocketMQ's groups: 10 s, 30 s, 1 min … 2 h. */
const defaultSteps = ['10s', '30s', '1m', '2m', '3m', '4m', '5m', '6m', '7m', '8m', '9m', '10m', '20m', '30m', '1h', '2h']

export async function createGroup(name: string, options: CreateGroupOptions): Promise<void> {
  const steps = (options.retry.length > 0 ? options.retry : defaultSteps).map(mustBeDuration)
  const request = {
    name,
    settings: {
      isFifo: options.fifo ?? false,
      maxAttempts: options.maxAttempts ?? maxAttemptsDefault,
      backoff: { steps: { stepMs: steps } },
    },
    start: options.from === 'first' ? { first: true } : { last: true },
    topics: [...options.topic],
    replaceSettings: options.replace ?? false,
  }
  const answer = await withCluster(options, async cluster => {
    if (options.replace !== true) await mustBeNew(cluster, name)
    // To the nodes a topic that is not there yet is none of the group's business; to an operator it is a slip of the pen.
    for (const topic of options.topic) mustBeOk((await cluster.ask(methods.getTopic, { name: topic }, isUnavailable)).status)
    return cluster.ask(methods.ensureGroup, request, isUnavailable)
  })
  mustBeOk(answer.status)
  const settings = answer.group?.settings
  if (options.output === 'json')
    printJson({ name, fifo: settings?.isFifo ?? false, maxAttempts: settings?.maxAttempts ?? 0, topics: request.topics })
  else print(`group ${name}: ${settings?.isFifo === true ? 'fifo' : 'concurrent'}, at most ${settings?.maxAttempts ?? 0} attempts`)
}

/** A group that is there would keep its settings, and what was asked for be forgotten without a word. */
async function mustBeNew(cluster: ClusterClient, name: string): Promise<void> {
  const { status } = await cluster.ask(methods.getGroup, { name }, isUnavailable)
  if (status?.code === v1.AdminStatus.Code.NOT_FOUND) return
  mustBeOk(status)
  throw new CliError(ExitCode.conflict, `group ${name} exists; --replace changes it`)
}

function mustBeDuration(text: string): number {
  const parsed = parseDuration(text)
  if (parsed.kind === 'ok') return parsed.value
  throw new CliError(ExitCode.usage, `--retry: ${parsed.problem}`)
}
