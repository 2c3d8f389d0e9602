/**
 * Traps: while a seed runs, the real clock, chance, timers and files throw. What slips past lint (a dependency, a default argument) is caught here,
 * because it would make a seed unrepeatable. A world runs in one synchronous call, so nothing else in the process can meet the traps.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

type Holder = Record<string, unknown>

const trappedFiles = [
  'openSync',
  'readSync',
  'writeSync',
  'fdatasyncSync',
  'fsyncSync',
  'readFileSync',
  'writeFileSync',
  'existsSync',
  'readdirSync',
  'mkdirSync',
  'open',
  'read',
  'write',
  'writev',
  'fdatasync',
  'fsync',
  'readFile',
  'writeFile',
] as const

const trappedGlobals = ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'] as const

function trap(name: string): () => never {
  return () => {
    throw new Error(`${name} was called inside a simulated world: only the seams may be used`)
  }
}

/** Runs `body` with the traps set; they are gone when it returns or throws. */
export function withTraps<T>(body: () => T): T {
  const undo: (() => void)[] = []
  const set = (holder: Holder, key: string, name: string): void => {
    const before = holder[key]
    holder[key] = trap(name)
    undo.push(() => {
      holder[key] = before
    })
  }
  for (const name of trappedGlobals) set(globalThis, name, name)
  set(Date as unknown as Holder, 'now', 'Date.now')
  set(Math as unknown as Holder, 'random', 'Math.random')
  set(performance as unknown as Holder, 'now', 'performance.now')
  set(process as unknown as Holder, 'hrtime', 'process.hrtime')
  for (const name of trappedFiles) set(fs, name, `fs.${name}`)
  syncBuiltinESMExports()
  try {
    return body()
  } finally {
    for (const step of undo.reverse()) step()
    syncBuiltinESMExports()
  }
}
