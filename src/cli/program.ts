/**
 * The command line's commands. This file only says which commands there are; each one's code is in a file of its own, imported when it runs, so that
 * `raftmq --help` costs nothing. Errors end in one sentence on standard error and an exit code of exit.ts.
 */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { ConfigError } from '../node/config-file.ts'
import { parseDuration, parseSize, type Parsed } from '../node/config-units.ts'
import type { ClusterRaftOptions } from './cluster-raft.ts'
import type { TransferLeaderOptions } from './cluster.ts'
import type { AddMemberOptions, MemberOptions } from './member.ts'
import type { ConsumeOptions } from './consume.ts'
import type { CreateGroupOptions } from './create-group.ts'
import type { BenchOptions } from './bench.ts'
import type { DemoOptions } from './demo.ts'
import type { DevOptions } from './dev.ts'
import { CliError, ExitCode, exitCodeHelp } from './exit.ts'
import { fileProblem, namedFile } from './named-files.ts'
import type { ProduceOptions } from './produce.ts'
import type { RecoverCommandOptions } from './recover.ts'
import type { RemoteOptions } from './remote.ts'
import type { StartOptions } from './start.ts'
import type { CreateTopicOptions, DeleteTopicOptions } from './topic.ts'

const defaultEndpoint = '127.0.0.1:8081'

/** Commands whose options are their own business: name, one line, and where the whole thing comes from. */
const elsewhere: readonly { readonly name: string; readonly description: string; readonly load: () => Promise<Command> }[] = [
  {
    name: 'chaos',
    description: 'prove the cluster: a simulated world, and mutants that it must catch',
    load: async () => (await import('./chaos.ts')).chaosCommand(),
  },
]

async function buildProgram(wanted: string | undefined): Promise<Command> {
  const program = new Command('raftmq')
    .description('A replicated message broker for RocketMQ 5 clients: the commit log is a Raft log.')
    .version(await version(), '-V, --version')
    .addHelpText(
      'after',
      `\nExit codes: ${exitCodeHelp}\nThe cluster is found by --endpoint or RAFTMQ_ENDPOINT, ${defaultEndpoint} by default; any node will do.`,
    )
  addServing(program)
  addTopics(program)
  addMessages(program)
  for (const { name, description, load } of elsewhere) {
    if (wanted === name) program.addCommand(await load())
    else program.command(name).description(description)
  }
  return program
}

function addServing(program: Command): void {
  program
    .command('dev')
    .description('three nodes on this machine, ready to use; Ctrl-C stops them')
    .option('--data <dir>', 'keep the data there (default: a temporary directory, removed at the end)')
    .addOption(format())
    .action(async (options: DevOptions) => (await import('./dev.ts')).dev(options))
  program
    .command('demo')
    .description('three nodes, official clients at work, and keys to kill, freeze and cut off the leader; a verdict at the end')
    .option('--script', 'without keys: the leader is killed twice, then the verdict; for pipes and CI')
    .option('--json', 'with --script: events as JSON lines, the verdict last')
    .option('--keep', 'keep the data and the logs of the nodes')
    .addHelpText('after', examples('raftmq demo', 'raftmq demo --script', 'raftmq demo --script --json | tail -n 1'))
    .action(async (options: DemoOptions) => (await import('./demo.ts')).demo(options))
  program
    .command('bench')
    .description('sends and full cycles on three local nodes, as a ratio to a bare gRPC echo server in the same run')
    .option('--seconds <n>', 'measure each point so long', integer(1, 3_600), 5)
    .option('--only <text>', 'only the points whose line begins so, as "send leader"')
    .addOption(format())
    .action(async (options: BenchOptions) => (await import('./bench.ts')).bench(options))
  program
    .command('start')
    .description('run one node of a cluster')
    .requiredOption('-c, --config <file>', 'the cluster.yaml that all nodes share')
    .addOption(new Option('--node <name>', 'which of its nodes this is').env('RAFTMQ_NODE'))
    .action(async (options: StartOptions) => (await import('./start.ts')).start(options))
  program
    .command('recover')
    .description('the majority is lost for good: makes this stopped node the whole group; says what may be lost, then asks')
    .requiredOption('-c, --config <file>', 'the cluster.yaml that all nodes share')
    .addOption(new Option('--node <name>', 'which of its nodes is left').env('RAFTMQ_NODE'))
    .option('--dry-run', 'only say what is there and what may be lost')
    .option('--yes', 'ask no question; wants --may-lose-after')
    .option('--may-lose-after <index>', 'the last entry that is kept, as --dry-run shows it', integer(0, Number.MAX_SAFE_INTEGER))
    .option('--force', 'although a majority seems to be there, or this node had no vote')
    .addOption(format())
    .addHelpText(
      'after',
      examples(
        'raftmq recover -c cluster.yaml --node n3 --dry-run',
        'raftmq recover -c cluster.yaml --node n3',
        'raftmq recover -c cluster.yaml --node n3 --yes --may-lose-after 48213 -o json',
      ),
    )
    .action(async (options: RecoverCommandOptions) => (await import('./recover.ts')).recover(options))
  const cluster = program.command('cluster').description('look at the cluster, say who leads, and who belongs to it')
  remote(cluster.command('status').description('nodes, roles, indexes, disks: one screen'))
    .addHelpText('after', examples('raftmq cluster status', 'raftmq cluster status -o json | jq .leader'))
    .action(async (options: RemoteOptions) => (await import('./cluster.ts')).clusterStatus(options))
  remote(cluster.command('raft').description('the consensus of each node: indexes, peers, pools, last changes of role and why'))
    .option('--node <name>', 'only this node')
    .addHelpText(
      'after',
      examples('raftmq cluster raft', 'raftmq cluster raft --node n2', "raftmq cluster raft -o json | jq '.nodes[].raft.pools'"),
    )
    .action(async (options: ClusterRaftOptions) => (await import('./cluster-raft.ts')).clusterRaft(options))
  remote(cluster.command('transfer-leader').description('another node leads; no send fails, the pause is a few milliseconds'))
    .option('--to <node>', 'which node (default: the best of those that are caught up)')
    .addHelpText('after', examples('raftmq cluster transfer-leader', 'raftmq cluster transfer-leader --to n2'))
    .action(async (options: TransferLeaderOptions) => (await import('./cluster.ts')).transferLeader(options))
  remote(cluster.command('finalize').description('end a rolling upgrade: raise the feature level to what every node supports'))
    .addHelpText('after', examples('raftmq cluster finalize'))
    .action(async (options: RemoteOptions) => (await import('./finalize.ts')).finalizeUpgrade(options))
  addMembers(cluster)
}

function addMembers(cluster: Command): void {
  const member = cluster.command('member').description('who belongs to the group; a change ends by itself, whoever leads')
  remote(member.command('list').alias('ls').description('all members, and how far a change is')).action(async (options: RemoteOptions) =>
    (await import('./member.ts')).listMembers(options),
  )
  newMember(member.command('add').description('a new node, started with join: true, catches up and then votes').argument('<node>'))
    .addHelpText(
      'after',
      examples('raftmq cluster member add n4 -c cluster.yaml', 'raftmq cluster member add n4 --number 4 --peer h4:7081 --client h4:8081'),
    )
    .action(async (name: string, options: AddMemberOptions) => (await import('./member.ts')).addMember(name, options))
  change(member.command('remove').alias('rm').description('a member leaves; the leader hands over first').argument('<node>'))
    .addHelpText('after', examples('raftmq cluster member remove n5'))
    .action(async (name: string, options: MemberOptions) => (await import('./member.ts')).removeMember(name, options))
  newMember(
    member
      .command('replace')
      .description('a new node takes the place of a member, in one step; or the same one, whose data directory is lost')
      .argument('<old>')
      .addArgument(new Argument('[new]', 'without it: the old one comes back with an empty directory')),
  )
    .option('--force', 'although the old one is up with the directory that votes')
    .addHelpText('after', examples('raftmq cluster member replace n2 n4 -c cluster.yaml', 'raftmq cluster member replace n2'))
    .action(async (old: string, name: string | undefined, options: AddMemberOptions) =>
      (await import('./member.ts')).replaceMember(old, name, options),
    )
  change(member.command('cancel').description('give up the change under way, if its new members have not caught up yet')).action(
    async (options: MemberOptions) => (await import('./member.ts')).cancelChange(options),
  )
}

/** The options of what changes the group. */
function change(command: Command): Command {
  return remote(command)
    .option('--no-wait', 'return when the change is committed to, not when it has ended')
    .option('--timeout <seconds>', 'wait no longer than this; the change goes on', integer(0, 86_400), 600)
}

function newMember(command: Command): Command {
  return change(command)
    .option('-c, --config <file>', 'the cluster.yaml that names the new node')
    .option('--number <n>', 'its number, if there is no such file', integer(1, 65_535))
    .option('--peer <address>', 'host:port where the other members dial it')
    .option('--client <address>', 'host:port where clients find it')
}

function addTopics(program: Command): void {
  const topic = program.command('topic').description('create, list, describe and delete topics')
  remote(topic.command('create').description('create a topic').argument('<name>'))
    .addOption(new Option('--type <type>', 'what it accepts').choices(['normal', 'fifo']).default('normal'))
    .option('--queues <n>', 'number of queues; 1 keeps the order of everything', integer(1, 1024))
    .option(
      '--retention <time>',
      'give messages up after this, as 72h; otherwise, and with 0ms, as the nodes are configured',
      inUnits(parseDuration),
    )
    .option('--retention-size <size>', 'keep at most so much of it, as 10GiB', inUnits(parseSize))
    .option('--if-not-exists', 'success when it is there already; its retention is set all the same')
    .addHelpText(
      'after',
      examples('raftmq topic create orders --type fifo --queues 4', 'raftmq topic create log --queues 1 --if-not-exists'),
    )
    .action(async (name: string, options: CreateTopicOptions) => (await import('./topic.ts')).createTopic(name, options))
  remote(topic.command('list').alias('ls').description('all topics')).action(async (options: RemoteOptions) =>
    (await import('./topic.ts')).listTopics(options),
  )
  remote(topic.command('get').alias('describe').description('one topic and its queues').argument('<name>')).action(
    async (name: string, options: RemoteOptions) => (await import('./topic.ts')).getTopic(name, options),
  )
  remote(topic.command('delete').alias('rm').description('delete a topic and its messages').argument('<name>'))
    .option('--if-exists', 'success when it is not there')
    .action(async (name: string, options: DeleteTopicOptions) => (await import('./topic.ts')).deleteTopic(name, options))
  const group = program.command('group').description('create, list and describe consumer groups, and show how far they lag')
  remote(
    group
      .command('create')
      .description('create a group with settings of its own; consumers make missing ones by themselves')
      .argument('<name>'),
  )
    .option('--topic <topic>', 'give it its place in this topic now; may be repeated', collect, [])
    .addOption(new Option('--from <where>', 'where it begins').choices(['first', 'last']).default('last'))
    .option('--fifo', 'one message of a message group at a time, in order')
    .option('--max-attempts <n>', 'deliveries before a message goes to the dead letters', integer(1, 1000))
    .option(
      '--retry <pause>',
      'pause before the next attempt, as 10s; may be repeated, the last one counts for all later ones',
      collect,
      [],
    )
    .option('--replace', 'change the settings of a group that is there')
    .addHelpText(
      'after',
      examples('raftmq group create billing --topic orders --fifo', 'raftmq group create mail --retry 5s --retry 1m --max-attempts 5'),
    )
    .action(async (name: string, options: CreateGroupOptions) => (await import('./create-group.ts')).createGroup(name, options))
  remote(group.command('list').alias('ls').description('all groups and how far they are')).action(async (options: RemoteOptions) =>
    (await import('./group.ts')).listGroups(options),
  )
  remote(
    group.command('lag').description('what consumer groups have not finished, by topic and queue').argument('[name]', 'only this group'),
  )
    .addHelpText(
      'after',
      examples('raftmq group lag', 'raftmq group lag billing', "raftmq group lag billing -o json | jq '.topics[].behind'"),
    )
    .action(async (name: string | undefined, options: RemoteOptions) => (await import('./group-lag.ts')).groupLag(name, options))
  remote(group.command('get').alias('describe').description('one group, queue by queue').argument('<name>')).action(
    async (name: string, options: RemoteOptions) => (await import('./group.ts')).getGroup(name, options),
  )
}

function addMessages(program: Command): void {
  remote(
    program
      .command('produce')
      .description('send a text, or each line of a file or of standard input')
      .argument('<topic>')
      .addArgument(new Argument('[text]')),
  )
    .option('-f, --file <file>', 'a message for each line; - is standard input')
    .option('-k, --key <key>', 'a key to find it by; may be repeated', collect, [])
    .option('-t, --tag <tag>', 'the tag that consumers filter by')
    .option('-g, --group <group>', 'message group: order is kept within it (fifo topics)')
    .addHelpText(
      'after',
      examples(
        'raftmq produce orders "hello" --group customer-7',
        'raftmq produce log --file /var/log/syslog',
        'tail -f app.log | raftmq produce log',
      ),
    )
    .action(async (topic: string, text: string | undefined, options: ProduceOptions) =>
      (await import('./produce.ts')).produce(topic, text, options),
    )
  remote(program.command('consume').description('receive messages and acknowledge them').argument('<topic>'))
    .requiredOption('-g, --group <group>', 'the consumer group to take part in')
    .addOption(new Option('--follow', 'go on for ever (the default)').conflicts('untilEmpty'))
    .option('--until-empty', 'end when nothing is waiting')
    .option('--out <file>', 'write there instead of standard output')
    .option('-n, --max <n>', 'end after so many messages', integer(1, Number.MAX_SAFE_INTEGER))
    .addOption(new Option('--from <where>', 'where a new group begins').choices(['first', 'last']).default('first'))
    .addHelpText(
      'after',
      examples(
        'raftmq consume orders -g me --follow',
        'raftmq consume log -g copy --until-empty --out log.copy',
        'raftmq consume orders -g me -o json | jq .body',
      ),
    )
    .action(async (topic: string, options: ConsumeOptions) => (await import('./consume.ts')).consume(topic, options))
}

/** The options of every command that asks a cluster. */
function remote(command: Command): Command {
  return command
    .addOption(new Option('-e, --endpoint <address>', 'any node; several with commas').env('RAFTMQ_ENDPOINT').default(defaultEndpoint))
    .addOption(format())
}

function format(): Option {
  return new Option('-o, --output <format>', 'for people or for programs').choices(['table', 'json']).default('table')
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map(line => `  ${line}`).join('\n')}`
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}

function integer(min: number, max: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`a whole number from ${min} to ${max}, please.`)
    return value
  }
}

/** A value with its unit, as in the configuration file. */
function inUnits(parse: (text: string) => Parsed<number>): (text: string) => number {
  return text => {
    const parsed = parse(text)
    if (parsed.kind === 'bad') throw new InvalidArgumentError(`${parsed.problem}.`)
    return parsed.value
  }
}

async function version(): Promise<string> {
  const { readFileSync } = await import('node:fs')
  const here = import.meta.filename
  const root = new URL(here.endsWith('.ts') ? '../../package.json' : '../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(root, 'utf8')) as { readonly version: string }).version
}

/** What the process ends with after this error; the sentence is printed unless commander has done so. */
function exitCodeAfter(thrown: unknown, args: readonly string[]): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? ExitCode.ok : ExitCode.usage
  const error = asCliError(thrown, args)
  if (error instanceof CliError) {
    process.stderr.write(`${error.message}\n`)
    return error.exitCode
  }
  throw error
}

/** What the user wrote, in the command line or the configuration, or a file that the user named: a sentence, and exit code 2. */
function asCliError(error: unknown, args: readonly string[]): unknown {
  if (error instanceof ConfigError) return new CliError(ExitCode.usage, error.message)
  const path = namedFile(error, args)
  const problem = path === undefined ? undefined : fileProblem(error, path)
  return problem === undefined ? error : new CliError(ExitCode.usage, problem)
}

/** Runs one command line and says what the process is to end with. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    const program = await buildProgram(args[0])
    forEachCommand(program, command => command.exitOverride().showHelpAfterError(`(${pathOf(command)} --help says more)`))
    if (args.length === 0) program.outputHelp()
    else await program.parseAsync(args, { from: 'user' })
    return typeof process.exitCode === 'number' ? process.exitCode : ExitCode.ok
  } catch (error) {
    return exitCodeAfter(error, args)
  }
}

function forEachCommand(command: Command, visit: (command: Command) => void): void {
  visit(command)
  for (const inner of command.commands) forEachCommand(inner, visit)
}

/** `raftmq topic create`: a command as it is typed. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}
