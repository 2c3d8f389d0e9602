/** A disk whose sectors hold something else than what was written to them, and what an honest one would hold. */
import { describe, expect, it } from 'vitest'
import { rotSomewhere } from '../frail-disk.ts'
import { SimulatedDisk } from './disk.ts'
import type { PowerCutOdds } from './disk-image.ts'
import { SimRandom } from './random.ts'
import { Scheduler } from './scheduler.ts'

const loseAll = { keepLow: 0, keepHigh: 0, tear: 0 }

function withFiles(...paths: readonly string[]): SimulatedDisk {
  return diskWith(paths, new SimRandom('harm'), loseAll)
}

function diskWith(paths: readonly string[], random: SimRandom, odds: PowerCutOdds): SimulatedDisk {
  const disk = new SimulatedDisk({ scheduler: new Scheduler(), random, odds, remembersSyncs: true })
  const seen = disk.openProcess()
  for (const path of paths) {
    seen.makeDirectory(path.slice(0, path.lastIndexOf('/')))
    const file = seen.open(path, { create: true })
    file.writeSync(new Uint8Array(2_000).fill(7), 0)
    file.syncSync()
    seen.syncDirectory(path.slice(0, path.lastIndexOf('/')))
  }
  return disk
}

const at = (bytes: Uint8Array | undefined, position: number): number | undefined => bytes?.[position]

describe('a harmed sector', () => {
  it('is read as it is, and known as it was, until it is written again', () => {
    const disk = withFiles('/data/file')
    expect(disk.harm('/data/file', 600, Uint8Array.of(9), false)).toBe(true)
    expect([at(disk.contentOf('/data/file'), 600), at(disk.durableBytes('/data/file'), 600)]).toEqual([9, 9])
    expect([at(disk.honestBytes('/data/file'), 600), disk.harmedSectors('/data/file')]).toEqual([7, 1])
    const file = disk.openProcess().open('/data/file', { create: false })
    file.writeSync(Uint8Array.of(7), 600)
    file.syncSync()
    expect([disk.honestBytes('/data/file'), disk.harmedSectors('/data/file')]).toEqual([undefined, 0])
  })

  it('behind the page cache comes to light when the power is cut', () => {
    const disk = withFiles('/data/file')
    disk.harm('/data/file', 600, Uint8Array.of(9), true)
    expect(at(disk.contentOf('/data/file'), 600)).toBe(7)
    disk.cutPower()
    expect(at(disk.contentOf('/data/file'), 600)).toBe(9)
  })

  it('stays honest about a neighbour that is written meanwhile', () => {
    const disk = withFiles('/data/file')
    disk.harm('/data/file', 600, Uint8Array.of(9), false)
    const file = disk.openProcess().open('/data/file', { create: false })
    file.writeSync(Uint8Array.of(5), 601)
    file.syncSync()
    expect([at(disk.honestBytes('/data/file'), 600), at(disk.honestBytes('/data/file'), 601)]).toEqual([7, 5])
  })

  it('has honest bytes that a write changes only when it is synced (seed 30003850)', () => {
    const disk = withFiles('/data/file')
    disk.harm('/data/file', 600, Uint8Array.of(9), false)
    const file = disk.openProcess().open('/data/file', { create: false })
    file.writeSync(Uint8Array.of(5), 601)
    expect(at(disk.honestBytes('/data/file'), 601)).toBe(7)
    disk.cutPower(true)
    expect(at(disk.durableBytes('/data/file'), 601)).toBe(7)
  })

  it('stays harmed when what was read of it is written down again (seed 30006442)', () => {
    const disk = withFiles('/data/file')
    disk.harm('/data/file', 600, Uint8Array.of(9), false)
    const file = disk.openProcess().open('/data/file', { create: false })
    const read = new Uint8Array(200)
    file.readSync(read, 500)
    file.writeSync(read, 500)
    file.syncSync()
    expect([at(disk.honestBytes('/data/file'), 600), disk.harmedSectors('/data/file')]).toEqual([7, 1])
  })

  it('is known as it was when a write to it is lost with the power (seed 36005345)', () => {
    const disk = withFiles('/data/file')
    disk.harm('/data/file', 600, Uint8Array.of(9), true)
    disk.openProcess().open('/data/file', { create: false }).writeSync(Uint8Array.of(5), 601)
    disk.cutPower()
    expect([at(disk.durableBytes('/data/file'), 600), at(disk.durableBytes('/data/file'), 601)]).toEqual([9, 7])
    expect([at(disk.honestBytes('/data/file'), 600), at(disk.honestBytes('/data/file'), 601)]).toEqual([7, 7])
  })

  it('is known beside a write to it that the power has left there, torn or not (seed 92000017)', () => {
    const seen = new Set<number>()
    for (let i = 0; i < 50; i++) {
      const disk = diskWith(['/data/file'], new SimRandom(`kept/${i}`), { keepLow: 0, keepHigh: 1, tear: 0.3 })
      disk.harm('/data/file', 600, Uint8Array.of(9), false)
      disk.openProcess().open('/data/file', { create: false }).writeSync(new Uint8Array(600).fill(5), 601)
      disk.cutPower()
      const [beside, written] = [600, 601].map(position => at(disk.honestBytes('/data/file'), position))
      expect([beside, at(disk.durableBytes('/data/file'), 600), at(disk.durableBytes('/data/file'), 601)]).toEqual([7, 9, written])
      seen.add(written ?? -1)
    }
    expect(seen).toContain(5)
    expect(seen).toContain(7)
  })

  it('is none where a write has not been synced, or nothing was written', () => {
    const disk = withFiles('/data/file')
    disk.openProcess().open('/data/file', { create: false }).writeSync(Uint8Array.of(1), 600)
    expect(disk.harm('/data/file', 601, Uint8Array.of(9), false)).toBe(false)
    expect(disk.harm('/data/file', 5_000, Uint8Array.of(9), false)).toBe(false)
    expect(disk.harm('/data/another', 0, Uint8Array.of(9), false)).toBe(false)
  })
})

describe('rot', () => {
  it('harms one of the things that stand twice, and no second one before the first is whole again', () => {
    const twice = ['/data/hard-state', '/data/VERSION', '/data/log/base']
    const disk = withFiles(...twice)
    const random = new SimRandom('twice')
    for (let i = 0; i < 200; i++) rotSomewhere(disk, random, false)
    expect(twice.reduce((sum, path) => sum + disk.harmedSectors(path), 0)).toBe(1)
  })

  it('leaves alone while a node runs what only its start reads', () => {
    const disk = withFiles('/data/hard-state', '/data/VERSION', '/data/log/base', '/data/log/00000000000000000001.log')
    const random = new SimRandom('running')
    for (let i = 0; i < 200; i++) rotSomewhere(disk, random, true)
    expect(disk.files().filter(path => disk.harmedSectors(path) > 0)).toEqual(['/data/log/00000000000000000001.log'])
  })
})

describe('a sync that was a lie', () => {
  const synced = (): SimulatedDisk => {
    const disk = withFiles('/data/file')
    const file = disk.openProcess().open('/data/file', { create: false })
    file.writeSync(new Uint8Array(512).fill(9), 512)
    file.syncSync()
    disk.cutPower()
    return disk
  }
  const marks = (bytes: Uint8Array | undefined): unknown => [0, 512, 1_024].map(position => at(bytes, position))

  it('leaves what was there before, and an honest disk would have it', () => {
    const disk = synced()
    expect(disk.lastSynced('/data/file')).toEqual([1])
    disk.loseLastSync('/data/file')
    expect([marks(disk.contentOf('/data/file')), marks(disk.honestBytes('/data/file'))]).toEqual([
      [7, 7, 7],
      [7, 9, 7],
    ])
  })

  it('harms another place, where it went', () => {
    const disk = synced()
    disk.loseLastSync('/data/file', 2)
    expect([marks(disk.contentOf('/data/file')), marks(disk.honestBytes('/data/file'))]).toEqual([
      [7, 7, 9],
      [7, 9, 7],
    ])
  })

  it('is none that a power cut may have changed in part', () => {
    const disk = withFiles('/data/file')
    const file = disk.openProcess().open('/data/file', { create: false })
    file.writeSync(new Uint8Array(512).fill(9), 512)
    file.syncSync()
    file.writeSync(new Uint8Array(512).fill(3), 512)
    disk.cutPower()
    expect(disk.lastSynced('/data/file')).toEqual([])
  })
})
