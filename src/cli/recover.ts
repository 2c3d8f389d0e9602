/**
 * `raftmq recover`: the majority of a group is gone for good, and this node's directory is what is left. Run beside the stopped node. It says first what
 * it found and what may be lost, looks whether the others are really gone, and then wants to be told by somebody who takes the responsibility: the
 * node's name typed at the terminal, or `--yes` together with the last entry that is kept. Nothing ever calls it by itself (src/node/recover.ts).
 */
import { createInterface } from 'node:readline/promises'
import { parseAddress, type Member } from '../../raft/index.ts'
import { nodeNamed } from '../node/config.ts'
import type { NodeConfig } from '../node/config.ts'
import { carryOutRecovery, couldDecide, finishRecord, planRecovery } from '../node/recover.ts'
import type { Acknowledgement, RecoverOptions, RecoveryPlan } from '../node/recover.ts'
import { realClock } from '../platform/clock.ts'
import { realDisk } from '../platform/disk.ts'
import { realNetwork } from '../platform/network.ts'
import { realRandom } from '../platform/random.ts'
import { recoveryRecordName, type RecoveryRecord } from '../storage/recovery-record.ts'
import { openStateStore } from '../storage/state-store.ts'
import { DirectoryInUse } from '../storage/storage-error.ts'
import { CliError, ExitCode } from './exit.ts'
import { readConfig } from './start.ts'
import { count, durationShown, paint, print, printJson, remark, type OutputFormat } from './terminal.ts'

export interface RecoverCommandOptions {
  readonly config: string
  readonly node?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly mayLoseAfter?: number
  readonly force?: boolean
  readonly output: OutputFormat
}

export async function recover(options: RecoverCommandOptions): Promise<void> {
  const config = readConfig(options.config)
  const node = nodeNamed(config, options.node)
  const identity = { clusterName: config.clusterName, nodeName: node.name, nodeId: node.number }
  if (!realDisk.exists(node.dataDirectory))
    throw new CliError(ExitCode.notFound, `${node.dataDirectory}: there is no such directory; run this where ${node.name} keeps its data`)
  // Its lock is the node's: held from here to the end, so that the node can't start meanwhile.
  const checkpoints = await asCliError(openStateStore(realDisk, `${node.dataDirectory}/state`), node)
  try {
    const seams = { disk: realDisk, clock: realClock, random: realRandom }
    const work = { ...seams, dataDirectory: node.dataDirectory, identity, checkpoint: checkpoints.loaded }
    await asCliError(recoverWith(work, node, options), node)
  } finally {
    await checkpoints.store.close()
  }
}

async function recoverWith(work: RecoverOptions, node: NodeConfig, options: RecoverCommandOptions): Promise<void> {
  const outlook = planRecovery(work)
  if (outlook.kind === 'refused') throw new CliError(ExitCode.conflict, outlook.problem)
  if (outlook.kind === 'done') {
    const record = outlook.record.isDone ? outlook.record : finishRecord(work.disk, work.dataDirectory)
    tellDone(options.output, record, node, 'alreadyRecovered')
    return
  }
  const answering = await whoAnswers(outlook.electors)
  const problems = objections(outlook, answering)
  const isRefused = problems.length > 0 && options.force !== true
  if (options.dryRun === true) {
    tellPlan(options.output, outlook, { node, answering, problems })
    return
  }
  if (options.output === 'table') print(planScreen(outlook, { node, answering, problems }))
  if (isRefused) throw new CliError(ExitCode.conflict, `${problems.join('; ')}; --force goes on all the same`)
  const how = await acknowledge(outlook, options)
  const acknowledged: Acknowledgement = { at: new Date(realClock.wallMs()).toISOString(), how, forced: problems }
  const record = await new Promise<RecoveryRecord>((done, failed) => {
    carryOutRecovery(work, outlook, acknowledged, (error, written) => (error === undefined ? done(written) : failed(error)))
  })
  tellDone(options.output, record, node, 'recovered')
}

/** Whose process listens, on either port. Silence proves nothing: a cable may lie between us. */
async function whoAnswers(members: readonly Member[]): Promise<readonly Member[]> {
  const answers = await Promise.all(
    members.map(async member => (await Promise.all([listens(member.address), listens(member.clientAddress)])).includes(true)),
  )
  return members.filter((_, i) => answers[i] === true)
}

function listens(address: string): Promise<boolean> {
  const parsed = parseAddress(address)
  if (parsed === undefined) return Promise.resolve(false)
  return new Promise(done => {
    const connection = realNetwork.dial(parsed, {
      onOpen: () => {
        done(true)
        connection.close()
      },
      onData: () => undefined,
      onClose: () => done(false),
    })
  })
}

/** Why it should not be done; what `--force` overrides. */
function objections(plan: RecoveryPlan, answering: readonly Member[]): string[] {
  const { self, electors, isVoter } = plan
  const problems: string[] = []
  if (
    couldDecide(
      plan,
      answering.map(({ id }) => id),
    )
  ) {
    problems.push(
      `${namesOf(answering)} of ${namesOf([...electors, self])} ${answering.length === 1 ? 'answers' : 'answer'}: with ${self.name} that is a majority, and nothing is lost; start ${self.name}, or use: raftmq cluster member replace`,
    )
  }
  if (!isVoter) problems.push(`${self.name} has no vote by its last membership, so it may be far behind: look at the other nodes first`)
  return problems
}

/** The operator's word. */
async function acknowledge(plan: RecoveryPlan, { yes, mayLoseAfter }: RecoverCommandOptions): Promise<string> {
  const { lastIndex, self } = plan
  if (mayLoseAfter !== undefined && mayLoseAfter !== lastIndex)
    throw new CliError(ExitCode.usage, `--may-lose-after ${mayLoseAfter}: the last entry here is ${lastIndex}; nothing was changed`)
  if (yes === true) {
    if (mayLoseAfter === undefined)
      throw new CliError(
        ExitCode.usage,
        `--yes alone is not enough: say that what came after entry ${lastIndex} may be lost, with --may-lose-after ${lastIndex}`,
      )
    return `--yes --may-lose-after ${mayLoseAfter}`
  }
  if (!process.stdin.isTTY)
    throw new CliError(ExitCode.usage, `nobody can be asked here; with --yes --may-lose-after ${lastIndex} it is done without a question`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const typed = await terminal.question(`Type ${self.name} to make it the whole group, anything else to leave it as it is: `)
  terminal.close()
  if (typed.trim() !== self.name) throw new CliError(ExitCode.interrupted, 'nothing was changed')
  return 'typed the name'
}

interface Circumstances {
  readonly node: NodeConfig
  readonly answering: readonly Member[]
  readonly problems: readonly string[]
}

function tellPlan(output: OutputFormat, plan: RecoveryPlan, circumstances: Circumstances): void {
  if (output === 'json') printJson({ result: 'dryRun', ...planJson(plan, circumstances) })
  else {
    print(planScreen(plan, circumstances))
    remark('dry run: nothing was changed')
  }
}

export function planScreen(plan: RecoveryPlan, { node, answering, problems }: Circumstances): string {
  const { lastIndex, firstIndex, committedIndex, committedWallMs, membership, self, electors } = plan
  const voters = [...electors, self].sort((a, b) => a.id - b.id)
  const silent = electors.filter(member => !answering.includes(member))
  return [
    `${paint('bold', self.name)} in ${node.dataDirectory}, stopped`,
    `  entries ${count(firstIndex)} to ${count(lastIndex)}, the last of term ${count(plan.lastTerm)}, made ${timeShown(plan.lastWallMs)}${plan.term === plan.lastTerm ? '' : `; it has seen term ${count(plan.term)}`}`,
    `  known to be committed: up to ${count(committedIndex)}${committedWallMs === undefined ? '' : `, made ${timeShown(committedWallMs)}: the last word of a majority that is on record here`}`,
    `  voters, by entry ${count(membership.index)}: ${namesOf(voters)}`,
    ...(answering.length > 0 ? [`  ${paint('yellow', `answering now: ${namesOf(answering)}`)}`] : []),
    ...(silent.length > 0 ? [`  silent: ${silent.map(({ name, address }) => `${name} (${address})`).join(', ')}`] : []),
    ...plan.remarks.map(remarkable => `  ${remarkable}`),
    '',
    `${paint('bold', 'Kept:')} everything that ${self.name} holds${committedIndex < lastIndex ? `, entries ${count(committedIndex + 1)} to ${count(lastIndex)} too, acknowledged or not` : ''}.`,
    `${paint(['bold', 'red'], 'May be lost:')} whatever the others acknowledged behind entry ${count(lastIndex)}, that is after ${timeShown(plan.lastWallMs)}. How much that is nobody can tell from here.`,
    `Afterwards ${self.name} is the only voter. ${namesOf(silent.length > 0 ? silent : electors)} must never be started again with the data they have now; with empty directories they are added as members.`,
    ...(answering.length > 0
      ? [
          `If another directory is left, run this with --dry-run there too: the one with the highest term and entry of its last entry is the one to recover.`,
        ]
      : []),
    ...problems.map(problem => paint('red', problem)),
    '',
  ].join('\n')
}

function planJson(plan: RecoveryPlan, { node, answering, problems }: Circumstances): Record<string, unknown> {
  return {
    node: plan.self.name,
    dataDirectory: node.dataDirectory,
    term: plan.term,
    firstIndex: plan.firstIndex,
    lastIndex: plan.lastIndex,
    lastTerm: plan.lastTerm,
    lastAt: new Date(plan.lastWallMs).toISOString(),
    committedIndex: plan.committedIndex,
    committedAt: plan.committedWallMs === undefined ? '' : new Date(plan.committedWallMs).toISOString(),
    mayLoseAfter: plan.lastIndex,
    membershipIndex: plan.membership.index,
    voters: [...plan.electors, plan.self].map(({ name }) => name).sort(),
    answering: answering.map(({ name }) => name),
    problems,
    remarks: plan.remarks,
    recoveries: plan.records,
  }
}

function tellDone(output: OutputFormat, record: RecoveryRecord, node: NodeConfig, result: 'recovered' | 'alreadyRecovered'): void {
  if (output === 'json') return printJson({ result, ...record })
  print(
    [
      result === 'recovered'
        ? `${record.node} is the whole group from entry ${count(record.after.index)} on, in term ${count(record.after.term)}.`
        : `${record.node} was recovered at ${record.at}, at entry ${count(record.after.index)}; nothing was changed.`,
      `On record in ${node.dataDirectory}/${recoveryRecordName}, and in raftmq cluster status.`,
      '',
      'Next:',
      ...nextSteps(
        record.node,
        record.before.voters.filter(name => name !== record.node),
      ),
    ].join('\n'),
  )
}

/** The file first, and all of it at once: one that begins a group of two or four is refused. */
export function nextSteps(survivor: string, others: readonly string[]): string[] {
  const all = others.length < 2 ? others.join('') : `${others.slice(0, -1).join(', ')} and ${others.at(-1) ?? ''}, in one edit`
  return [
    ...(others.length === 0 ? [] : [`  cluster.yaml, on every machine: write join: true for ${all}`]),
    `  raftmq start -c cluster.yaml --node ${survivor}`,
    ...others.map(name => `  ${name}: empty its directory, start it, then: raftmq cluster member add ${name} -c cluster.yaml`),
  ]
}

function namesOf(members: readonly Member[]): string {
  return members.map(({ name }) => name).join(', ')
}

function timeShown(wallMs: number): string {
  return `${new Date(wallMs).toISOString()} (${durationShown(Math.max(0, realClock.wallMs() - wallMs))} ago)`
}

/** What the disk says becomes a sentence and an exit code. */
async function asCliError<T>(work: Promise<T>, node: NodeConfig): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'StorageError') throw error
    if (error instanceof DirectoryInUse) throw new CliError(ExitCode.conflict, `${node.name} is running: stop it first (${error.message})`)
    throw new CliError(ExitCode.diskFailed, error.message)
  }
}
