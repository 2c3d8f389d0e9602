/**
 * What replication costs: three processes with a Raft node each, on TCP and real files; the leader is given entries of 1 KiB at a fixed rate, or as many
 * as it takes (rate 0: 512 in flight). Prints entries per second, CPU seconds per 100 000 entries on leader and followers, and the latency of a proposal.
 *
 *   node dist/bench/raft-replication.js [entries per second] [seconds]
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Member } from '../raft/index.ts'
import { EntryKind, RaftNode, defaultRaftConfig, firstMembership, formatAddress, logIndex, nodeId } from '../raft/index.ts'
import { crc32c } from '../src/platform/bytes.ts'
import { realClock } from '../src/platform/clock.ts'
import { realDisk } from '../src/platform/disk.ts'
import { realNetwork } from '../src/platform/network.ts'
import { realRandom } from '../src/platform/random.ts'
import { openLog } from '../src/storage/open-log.ts'

const ids = [1, 2, 3].map(nodeId)
const firstPort = 18_700
const entryBytes = 1_024
const inflightMax = 512

interface Report {
  readonly id: number
  readonly isLeader: boolean
  readonly entries: number
  readonly cpuSeconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly flushes: number
  readonly turns: number
  readonly syncP50Ms: number
  readonly syncP99Ms: number
}

export interface RaftReplicationFigures {
  readonly name: 'raft-replication'
  readonly entriesPerSecond: number
  readonly leaderCpuUsPerEntry: number
  /** Of one follower. */
  readonly followerCpuUsPerEntry: number
  readonly proposeP50Ms: number
  readonly proposeP99Ms: number
  readonly syncP99Ms: number
}

/** As fast as it goes, 512 in flight. */
export async function runBench(seconds = 4): Promise<RaftReplicationFigures> {
  const reports = await runAll(0, seconds)
  const leader = reports.find(report => report.isLeader)
  const followers = reports.filter(report => !report.isLeader)
  if (leader === undefined) throw new Error('no leader during the measurement')
  const cpuUs = ({ cpuSeconds, entries }: Report): number => round((cpuSeconds / entries) * 1e6)
  return {
    name: 'raft-replication',
    entriesPerSecond: Math.round(leader.entries / seconds),
    leaderCpuUsPerEntry: cpuUs(leader),
    followerCpuUsPerEntry: round(followers.reduce((sum, report) => sum + cpuUs(report), 0) / followers.length),
    proposeP50Ms: round(leader.p50Ms),
    proposeP99Ms: round(leader.p99Ms),
    syncP99Ms: round(leader.syncP99Ms),
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

function runNode(id: number, directory: string, rate: number, seconds: number): void {
  const own = nodeId(id)
  const identity = { clusterName: 'bench', nodeName: `n${id}`, nodeId: id }
  const opened = openLog({ disk: realDisk, clock: realClock, random: realRandom, dataDirectory: path.join(directory, `n${id}`), identity })
  const address = (member: number): { host: string; port: number } => ({ host: '127.0.0.1', port: firstPort + member })
  const member = (each: number): Member => ({
    id: nodeId(each),
    name: `n${each}`,
    address: formatAddress(address(each)),
    clientAddress: '',
  })
  let applied = 0
  const node = RaftNode.start({
    config: defaultRaftConfig(own, firstMembership(ids.map(member))),
    recovered: { ...opened.recovered, appliedIndex: logIndex(0) },
    clock: realClock,
    random: realRandom,
    network: realNetwork,
    listen: address(id),
    self: member(id),
    clusterName: 'bench',
    log: opened.log,
    hardState: opened.hardState,
    app: {
      apply: () => applied++,
      appliedBatch: () => undefined,
      leadershipChanged: () => undefined,
      peerFrame: () => undefined,
      peerConnected: () => undefined,
      peerDisconnected: () => undefined,
      fatal: error => {
        throw error
      },
    },
  })
  setTimeout(() => measure(node, () => applied, rate, seconds), 1_500)
}

function measure(node: RaftNode, applied: () => number, rate: number, seconds: number): void {
  const isLeader = node.role === 'leader'
  const cpu = process.cpuUsage()
  const before = applied()
  const metrics = node.status().metrics
  const startMs = performance.now()
  const latencies: number[] = []
  const bytes = new Uint8Array(entryBytes).fill(120)
  const body = { parts: [bytes], bytes: entryBytes, crc: crc32c(bytes) }
  let proposed = 0
  let inflight = 0
  const proposeOne = (): boolean => {
    const atMs = performance.now()
    const refusal = node.propose(EntryKind.data, [body], () => {
      inflight--
      latencies.push(performance.now() - atMs)
      if (rate === 0 && performance.now() - startMs < seconds * 1_000) proposeOne()
    })
    if (refusal !== undefined) return false
    proposed++
    inflight++
    return true
  }
  const timer = setInterval(() => {
    const elapsedMs = performance.now() - startMs
    if (!isLeader || elapsedMs >= seconds * 1_000) return
    if (rate === 0) while (inflight < inflightMax && proposeOne());
    else while (proposed < (rate * elapsedMs) / 1_000 && proposeOne());
  }, 1)
  setTimeout(
    () => {
      clearInterval(timer)
      const { user, system } = process.cpuUsage(cpu)
      latencies.sort((a, b) => a - b)
      const at = (part: number): number => latencies[Math.floor(latencies.length * part)] ?? 0
      const { metrics: after, syncP50Ms, syncP99Ms } = node.status()
      const report: Report = {
        id: node.id,
        isLeader,
        entries: applied() - before,
        cpuSeconds: (user + system) / 1e6,
        p50Ms: at(0.5),
        p99Ms: at(0.99),
        flushes: after.flushes - metrics.flushes,
        turns: after.turns - metrics.turns,
        syncP50Ms,
        syncP99Ms,
      }
      process.send?.(report, () => process.exit(0))
    },
    seconds * 1_000 + 200,
  )
}

async function runAll(rate: number, seconds: number): Promise<readonly Report[]> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'raftmq-bench-'))
  const children: ChildProcess[] = []
  try {
    return await Promise.all(
      ids.map(
        id =>
          new Promise<Report>((resolve, reject) => {
            const child = fork(import.meta.filename, ['--node', `${id}`, directory, `${rate}`, `${seconds}`])
            children.push(child)
            child.once('message', message => resolve(message as Report))
            child.once('exit', code => reject(new Error(`node ${id} ended with ${code ?? 'a signal'}`)))
          }),
      ),
    )
  } finally {
    for (const child of children) child.kill('SIGKILL')
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

function line(report: Report, seconds: number): string {
  const { id, isLeader, entries, cpuSeconds, p50Ms, p99Ms, flushes, turns, syncP50Ms, syncP99Ms } = report
  const cost = (cpuSeconds / entries) * 1e6
  const who = `n${id} ${isLeader ? 'leader  ' : 'follower'}`
  const rate = `${Math.round(entries / seconds)} entries/s, ${cost.toFixed(1)} us CPU each, ${Math.round(flushes / seconds)} flushes/s, ${Math.round(turns / seconds)} turns/s`
  const latency = isLeader ? `, propose p50 ${p50Ms.toFixed(2)} ms p99 ${p99Ms.toFixed(2)} ms` : ''
  return `${who} ${rate}, sync p50 ${syncP50Ms.toFixed(2)} p99 ${syncP99Ms.toFixed(2)} ms${latency}`
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv[2] === '--node')
    runNode(Number(process.argv[3]), process.argv[4] ?? '', Number(process.argv[5]), Number(process.argv[6]))
  else {
    const seconds = Number(process.argv[3] ?? 5)
    for (const report of await runAll(Number(process.argv[2] ?? 8_000), seconds)) console.log(line(report, seconds))
  }
}
