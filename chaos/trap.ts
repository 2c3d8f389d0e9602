/**
 * Traps: while a seed runs, the real clock, chance, timers, files, sockets and processes throw. What slips past lint (a dependency, a default argument)
 * is caught here, because it would make a seed unrepeatable. A world runs in one synchronous call, so nothing else in the process can meet the traps.
 *
 * They stand in the modules themselves: who imported a function by name before meets them too (`syncBuiltinESMExports`).
 */
import childProcess from 'node:child_process'
import nodeCrypto from 'node:crypto'
import dgram from 'node:dgram'
import dns from 'node:dns'
import fs from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import timers from 'node:timers'
import tls from 'node:tls'

type Holder = Record<string, unknown>

interface Trap {
  /** As it is named in the error. */
  readonly name: string
  readonly holder: Holder
  readonly key: string
}

const timerNames = ['setTimeout', 'setInterval', 'setImmediate'] as const
const chance = ['randomBytes', 'randomFill', 'randomFillSync', 'randomInt', 'randomUUID'] as const

function of(name: string, holder: unknown, keys: readonly string[]): readonly Trap[] {
  return keys.map(key => ({ name: `${name}${key}`, holder: holder as Holder, key }))
}

/** Every function of these that anything could be asked of. */
function functionsOf(name: string, holder: unknown): readonly Trap[] {
  const keys = Object.keys(holder as Holder).filter(key => typeof (holder as Holder)[key] === 'function' && !/^[A-Z_]/.test(key))
  return of(`${name}.`, holder, keys)
}

/** All traps, for the tests too. */
export const traps: readonly Trap[] = [
  ...of('', globalThis, [...timerNames, 'queueMicrotask', 'fetch', 'Date']),
  ...of('timers.', timers, timerNames),
  ...of('performance.', performance, ['now']),
  ...of('process.', process, ['hrtime', 'nextTick', 'uptime', 'cpuUsage']),
  ...of('Math.', Math, ['random']),
  ...of('crypto.', globalThis.crypto, ['getRandomValues', 'randomUUID']),
  ...of('node:crypto.', nodeCrypto, chance),
  ...functionsOf('fs', fs),
  ...functionsOf('fs.promises', fs.promises),
  ...functionsOf('net', net).filter(({ key }) => !key.startsWith('is')),
  ...of('tls.', tls, ['connect', 'createServer']),
  ...of('http.', http, ['get', 'request', 'createServer']),
  ...of('https.', https, ['get', 'request', 'createServer']),
  ...of('http2.', http2, ['connect', 'createServer', 'createSecureServer']),
  ...of('dgram.', dgram, ['createSocket']),
  ...of('dns.', dns, ['lookup', 'resolve']),
  ...of('child_process.', childProcess, ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork']),
]

function caught(name: string): never {
  throw new Error(`${name} was called inside a simulated world: only the seams may be used`)
}

/** A date that was told stays a date; one that asks what time it is does not come back. */
function trapDate(name: string, real: DateConstructor): DateConstructor {
  return new Proxy(real, {
    construct: (target, args: unknown[], newTarget) =>
      args.length === 0 ? caught(`new ${name}`) : (Reflect.construct(target, args, newTarget) as object),
    apply: () => caught(name),
    get: (target, key) => (key === 'now' ? () => caught(`${name}.now`) : (Reflect.get(target, key) as unknown)),
  })
}

/** Runs `body` with the traps set; they are gone when it returns or throws. */
export function withTraps<T>(body: () => T): T {
  const undo: (() => void)[] = []
  try {
    for (const trap of traps) undo.push(set(trap))
    syncBuiltinESMExports()
    return body()
  } finally {
    for (const step of undo.reverse()) step()
    syncBuiltinESMExports()
  }
}

/** Gives back how it is undone. */
function set({ name, holder, key }: Trap): () => void {
  const before = Object.getOwnPropertyDescriptor(holder, key)
  const value = name === 'Date' ? trapDate(name, Date) : () => caught(name)
  Object.defineProperty(holder, key, { value, configurable: true, enumerable: before?.enumerable ?? false, writable: true })
  return () => {
    if (before === undefined) Reflect.deleteProperty(holder, key)
    else Object.defineProperty(holder, key, before)
  }
}
