import { describe, expect, it } from 'vitest'
import { diskContract } from '../../src/platform/disk-contract.ts'
import type { Disk, DiskFile } from '../../src/platform/disk.ts'
import { calmLatency, SimulatedCrash, SimulatedDisk } from './disk.ts'
import type { PowerCutOdds } from './disk-image.ts'
import { SimRandom } from './random.ts'
import { Scheduler } from './scheduler.ts'

function machine(seed: string | number = 1, odds?: PowerCutOdds): { scheduler: Scheduler; disk: SimulatedDisk } {
  const scheduler = new Scheduler()
  const disk = new SimulatedDisk({ scheduler, random: new SimRandom(`disk/${seed}`), ...(odds === undefined ? {} : { odds }) })
  return { scheduler, disk }
}

const loseAll: PowerCutOdds = { keepLow: 0, keepHigh: 0, tear: 0 }
const anything: PowerCutOdds = { keepLow: 0, keepHigh: 1, tear: 1 }

diskContract('the simulated disk', () => {
  const { scheduler, disk } = machine()
  const seen = disk.openProcess(scheduler.newProcess('n1'))
  seen.makeDirectory('/data')
  return {
    disk: seen,
    root: '/data',
    until: condition => {
      if (!scheduler.runUntilTrue(condition, 60_000)) throw new Error('did not happen within a minute')
      return Promise.resolve()
    },
    close: () => undefined,
  }
})

function create(disk: Disk, path: string): DiskFile {
  const file = disk.open(path, { create: true })
  disk.syncDirectory('/')
  return file
}

function contents(disk: SimulatedDisk, path: string): string {
  return Buffer.from(disk.contentOf(path) ?? []).toString()
}

describe('a power cut', () => {
  it('leaves what was synced and takes what was not', () => {
    const { disk } = machine(1, loseAll)
    const file = create(disk.openProcess(), '/file')
    file.writeSync(Buffer.from('synced '), 0)
    file.syncSync()
    file.writeSync(Buffer.from('and not'), 7)
    disk.cutPower()
    expect(contents(disk, '/file')).toBe('synced ')
  })

  it('takes a name whose directory was not synced, and leaves an older one', () => {
    let both = 0
    for (let seed = 0; seed < 40; seed++) {
      const { disk } = machine(seed, loseAll)
      const seen = disk.openProcess()
      create(seen, '/old').close()
      seen.rename('/old', '/new')
      disk.cutPower()
      const files = disk.files()
      expect(files).toHaveLength(1)
      if (files[0] === '/new') both++
    }
    expect(both).toBeGreaterThan(5)
    expect(both).toBeLessThan(35)
  })

  it('keeps a synced name whatever else is pending', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { disk } = machine(seed, anything)
      const seen = disk.openProcess()
      const file = create(seen, '/kept')
      file.writeSync(Buffer.from('all of it'), 0)
      file.syncSync()
      seen.open('/pending', { create: true })
      disk.cutPower()
      expect(contents(disk, '/kept')).toBe('all of it')
    }
  })

  it('keeps unsynced sectors in any selection', () => {
    const kept = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      const { disk } = machine(seed, { keepLow: 0.5, keepHigh: 0.5, tear: 0 })
      const file = create(disk.openProcess(), '/file')
      file.writeSync(new Uint8Array(1536), 0)
      file.syncSync()
      file.writeSync(new Uint8Array(1536).fill(120), 0)
      disk.cutPower()
      kept.add([0, 1, 2].map(sector => disk.contentOf('/file')?.[sector * 512] ?? 0).join())
    }
    expect(kept.size).toBe(8)
  })

  it('never harms bytes that the unsynced writes did not change', () => {
    for (let seed = 0; seed < 100; seed++) {
      const { disk } = machine(seed, anything)
      const file = create(disk.openProcess(), '/file')
      file.writeSync(Buffer.from('A'.repeat(700)), 0)
      file.syncSync()
      file.writeSync(Buffer.from('B'.repeat(2_000)), 700)
      disk.cutPower()
      expect(contents(disk, '/file').slice(0, 700)).toBe('A'.repeat(700))
    }
  })

  it('may tear one sector of several, never a single one', () => {
    let torn = 0
    for (let seed = 0; seed < 100; seed++) {
      const { disk } = machine(seed, anything)
      const file = create(disk.openProcess(), '/file')
      file.writeSync(Buffer.from('B'.repeat(1_024)), 0)
      const single = create(disk.openProcess(), '/single')
      single.writeSync(Buffer.from('C'.repeat(512)), 0)
      disk.cutPower()
      if (/[^B\0]/.test(contents(disk, '/file'))) torn++
      expect(contents(disk, '/single')).toMatch(/^(C{512}|\0*)$/)
    }
    expect(torn).toBeGreaterThan(20)
  })

  it('does not make durable what was written after the sync began', () => {
    const { scheduler, disk } = machine(1, loseAll)
    const file = create(disk.openProcess(), '/file')
    file.writeSync(Buffer.from('before'), 0)
    let isDone = false
    file.sync(() => (isDone = true))
    file.writeSync(Buffer.from('behind'), 0)
    file.writeSync(Buffer.from('longer'), 6)
    scheduler.runUntilTrue(() => isDone, 1_000)
    expect(contents(disk, '/file')).toBe('behindlonger')
    disk.cutPower()
    expect(contents(disk, '/file')).toBe('before')
  })

  it('loses the pages of a failed sync, also when the next one "succeeds"', () => {
    const { disk } = machine(1, loseAll)
    const file = create(disk.openProcess(), '/file')
    file.writeSync(Buffer.from('gone'), 0)
    disk.failNext({ operation: 'sync', code: 'EIO' })
    expect(() => file.syncSync()).toThrow(/EIO/)
    file.syncSync()
    disk.cutPower()
    expect(contents(disk, '/file')).toBe('')
  })

  it('spares what was written once more after a failed sync, in however many pieces (seed 33007554)', () => {
    const { disk } = machine(1, loseAll)
    const file = create(disk.openProcess(), '/file')
    const pieces = ['one ', 'two ', 'three'].map(text => Buffer.from(text))
    const write = (): void => void pieces.reduce((at, piece) => (file.writeSync(piece, at), at + piece.length), 0)
    write()
    disk.failNext({ operation: 'sync', code: 'EIO' })
    expect(() => file.syncSync()).toThrow(/EIO/)
    write()
    file.syncSync()
    disk.cutPower()
    expect(contents(disk, '/file')).toBe('one two three')
  })

  it('comes right after the operation that was asked for', () => {
    const { disk } = machine(1, loseAll)
    disk.crashAfter(4)
    const file = create(disk.openProcess(), '/file')
    file.writeSync(Buffer.from('x'), 0)
    expect(() => file.syncSync()).toThrow(SimulatedCrash)
    expect(contents(disk, '/file')).toBe('x')
    expect(disk.isInUse).toBe(false)
  })
})

describe('the end of a process', () => {
  it('lets no handle and no callback of it live on', () => {
    const { scheduler, disk } = machine()
    const file = create(disk.openProcess(), '/file')
    const calls: string[] = []
    file.writeAndSync(0, [Buffer.from('x')], () => calls.push('written'))
    file.sync(() => calls.push('synced'))
    disk.kill()
    scheduler.runUntil(10_000)
    expect(calls).toEqual([])
    expect(() => file.writeSync(new Uint8Array(1), 0)).toThrow(/dead/)
  })

  it('leaves the page cache to the next process', () => {
    const { disk } = machine(1, loseAll)
    const first = create(disk.openProcess(), '/file')
    first.writeSync(Buffer.from('in the cache'), 0)
    disk.kill()
    const second = disk.openProcess().open('/file', { create: false })
    expect(contents(disk, '/file')).toBe('in the cache')
    second.close()
    disk.cutPower()
    expect(contents(disk, '/file')).toBe('')
  })

  it('holds callbacks back while it is paused, though the disk goes on', () => {
    const { scheduler, disk } = machine()
    const process = scheduler.newProcess('n1')
    const file = create(disk.openProcess(process), '/file')
    let isDone = false
    file.writeAndSync(0, [Buffer.from('x')], () => (isDone = true))
    process.pause()
    scheduler.runUntil(1_000)
    expect(isDone).toBe(false)
    expect(contents(disk, '/file')).toBe('x')
    scheduler.resume(process)
    scheduler.runUntil(1_001)
    expect(isDone).toBe(true)
  })
})

describe('faults', () => {
  it('fail one matching operation', () => {
    const { scheduler, disk } = machine()
    const seen = disk.openProcess()
    const file = create(seen, '/file')
    disk.failNext({ operation: 'write', pathPart: 'other', code: 'EIO' })
    disk.failNext({ operation: 'write', pathPart: 'file', code: 'EIO' })
    const results: (Error | undefined)[] = []
    file.writeAndSync(0, [Buffer.from('x')], error => results.push(error))
    scheduler.runUntil(1_000)
    file.writeAndSync(0, [Buffer.from('y')], error => results.push(error))
    scheduler.runUntil(2_000)
    expect(results.map(String)).toEqual(['DiskFailure: EIO: write /file', 'undefined'])
  })

  it('fill the disk up', () => {
    const { disk } = machine()
    const file = create(disk.openProcess(), '/file')
    disk.capacityBytes = 1_000
    file.writeSync(new Uint8Array(1_000), 0)
    expect(() => file.writeSync(new Uint8Array(1), 1_000)).toThrow(/ENOSPC/)
    file.writeSync(new Uint8Array(10), 0)
  })

  it('let a bit rot at rest', () => {
    const { disk } = machine()
    const file = create(disk.openProcess(), '/file')
    file.writeSync(Buffer.from('abc'), 0)
    file.syncSync()
    disk.flipBit('/file', 1, 5)
    expect(contents(disk, '/file')).toBe('aBc')
    disk.cutPower()
    expect(contents(disk, '/file')).toBe('aBc')
  })
})

describe('determinism', () => {
  it('gives the same bytes and times for the same seed', () => {
    const run = (): string => {
      const { scheduler, disk } = machine(7)
      const file = create(disk.openProcess(), '/file')
      let finishedMs = 0
      for (let i = 0; i < 20; i++) file.writeAndSync(i * 300, [new Uint8Array(400).fill(i)], () => (finishedMs += scheduler.nowMs))
      scheduler.runUntil(5)
      disk.cutPower()
      return `${finishedMs} ${Buffer.from(disk.contentOf('/file') ?? []).toString('base64')}`
    }
    expect(run()).toBe(run())
  })
})

it('what failed is known until the next process, which has met nothing', () => {
  const { disk } = machine()
  const file = create(disk.openProcess(), '/file')
  expect(disk.lastFailure).toBeUndefined()
  disk.failNext({ operation: 'sync', code: 'EIO' })
  expect(() => file.syncSync()).toThrow('EIO')
  expect(disk.lastFailure?.message).toContain('EIO')
  disk.openProcess()
  expect(disk.lastFailure).toBeUndefined()
})

describe('an operation that hangs', () => {
  it('is told of until it would be done, however quick the disk becomes; a new process has begun none', () => {
    const { scheduler, disk } = machine()
    const file = create(disk.openProcess(), '/file')
    file.sync(() => undefined)
    scheduler.runFor(100)
    expect(disk.hungUntilMs).toBe(0)

    disk.latency = { ...calmLatency, syncMs: 20_000 }
    const begunAtMs = scheduler.nowMs
    file.sync(() => undefined)
    disk.latency = calmLatency
    expect(disk.hungUntilMs).toBeGreaterThanOrEqual(begunAtMs + 10_000)

    disk.openProcess()
    expect(disk.hungUntilMs).toBe(0)
  })
})
