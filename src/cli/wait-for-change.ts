/** Watches a change of members until it has ended. The group carries it out by itself: whoever stops watching takes nothing back, and is told what is missing. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isWaitingInVain, waitsFor, type ClusterStatus, type Members } from './change-under-way.ts'
import type { ClusterClient } from './client.ts'
import { askCluster } from './cluster.ts'
import { CliError, ExitCode } from './exit.ts'

interface Known {
  readonly status: ClusterStatus
  readonly members: Members
}

const pollMs = 200
const columnsDefault = 80

/** Until no change is under way behind the entry that began this one; whichever node answers. */
export async function waitForEnd(cluster: ClusterClient, index: number, timeoutMs: number): Promise<Known> {
  const startMs = performance.now()
  const interrupted = new AbortController()
  const onSignal = (): void => interrupted.abort()
  process.once('SIGINT', onSignal)
  try {
    for (;;) {
      const known = await askCluster(cluster)
      const { members } = known
      if ((members.index ?? 0) >= index && members.phase === 'steady' && members.isCommitted === true) return known
      const elapsedMs = performance.now() - startMs
      if (interrupted.signal.aborted) throw new CliError(ExitCode.interrupted, notEnded(known))
      if (elapsedMs > timeoutMs) throw new CliError(ExitCode.outcomeUnknown, notEnded(known))
      showProgress(known, elapsedMs)
      await pause(interrupted.signal)
    }
  } finally {
    process.off('SIGINT', onSignal)
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  }
}

/** What whoever does not watch any longer needs to know. */
export function notEnded({ status, members }: Known): string {
  const what = waitsFor(members, status) ?? 'its entry to be committed'
  const start = isWaitingInVain(members, status) ? 'start it, or give up' : 'it goes on by itself (raftmq cluster member list); give up'
  return `the change is still under way, and waits for ${what}; ${start}: raftmq cluster member cancel`
}

function showProgress({ status, members }: Known, elapsedMs: number): void {
  const { isTTY, columns } = process.stderr
  const what = waitsFor(members, status)
  if (!isTTY || what === undefined) return
  const line = `${Math.round(elapsedMs / 1_000)} s: waits for ${what}`
  process.stderr.write(`\r${line.slice(0, (columns || columnsDefault) - 1)}\u001b[K`)
}

async function pause(signal: AbortSignal): Promise<void> {
  // Woken early by Ctrl-C: looked at by whoever waits.
  await sleep(pollMs, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}
