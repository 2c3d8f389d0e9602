/**
 * What a disk that rots or lies does to the files of one machine: bits turn over, sectors become garbage, while the process runs or between two lives; a
 * sync that was acknowledged has written nothing, or to another place of the file, as the next start finds. Which
 * file is drawn by its kind, so that a small one is met as often as the log. It harms what docs/disks.md promises to survive, and nothing else:
 * term and vote, VERSION and the record of where the log begins stand in two places each, and one of these is harmed only while the other is whole.
 */
import { happens } from './chance.ts'
import type { SimulatedDisk } from './sim/disk.ts'
import { sectorBytes } from './sim/disk-image.ts'
import type { SimRandom } from './sim/random.ts'

/** A kind of file by the end of its path; the first that fits. */
const kinds = [
  { name: 'segment', fits: /\/log\/\d+\.log$/, isTwice: false },
  { name: 'sidecar', fits: /\/log\/.*\.idx$/, isTwice: false },
  { name: 'beginning of the log', fits: /\/log\/base$/, isTwice: true },
  { name: 'queue index', fits: /\/queue-index\//, isTwice: false },
  { name: 'snapshot', fits: /\/(snapshots|incoming)\//, isTwice: false },
  { name: 'hard state', fits: /\/hard-state$/, isTwice: true },
  { name: 'identity', fits: /\/VERSION$/, isTwice: true },
] as const

const bitShare = 0.7
const hiddenShare = 0.4
const slotBytes = 80
const slotSpacingBytes = 4096

/** Harms one place. Gives what was harmed, in half a sentence; undefined when there was nothing to harm. `isRunning`: what is only read at a start is left alone. */
export function rotSomewhere(disk: SimulatedDisk, random: SimRandom, isRunning: boolean): string | undefined {
  const files = disk.files()
  const kind = random.pick(kinds)
  if (isRunning && kind.isTwice) return undefined
  const paths = files.filter(path => kind.fits.test(path))
  if (paths.length === 0) return undefined
  const path = random.pick(paths)
  if (kind.isTwice && files.some(other => disk.harmedSectors(other) > 0 && kinds.some(({ isTwice, fits }) => isTwice && fits.test(other))))
    return undefined
  const bytes = disk.durableBytes(path)
  const end = bytes === undefined ? 0 : usedBytes(bytes)
  if (bytes === undefined || end === 0) return undefined
  const isBit = happens(random, bitShare)
  const place =
    kind.name === 'hard state' ? random.integer(0, 1) * slotSpacingBytes + random.integer(0, slotBytes - 1) : random.integer(0, end - 1)
  const position = isBit ? place : Math.floor(place / sectorBytes) * sectorBytes
  const harm = isBit ? flipped(bytes, position, random) : random.bytes(Math.min(sectorBytes, bytes.length - position))
  const isHidden = happens(random, hiddenShare)
  if (!disk.harm(path, position, harm, isHidden)) return undefined
  return `${isBit ? 'a bit' : 'a sector'} of ${path} rots at byte ${position}${isRunning && isHidden ? ', behind the page cache' : ''}`
}

/** What a sync may have been lost of. That the log's beginning was moved is told once, and what stood before it is deleted then: there the disk is believed. */
const liable = kinds.filter(({ name }) => name !== 'beginning of the log' && name !== 'identity')

/** With the power off: the last sync of some file was a lie. Gives what became of it; undefined when there was none. */
export function lieSomewhere(disk: SimulatedDisk, random: SimRandom, isMisdirected: boolean): string | undefined {
  const kind = random.pick(liable)
  const paths = disk.files().filter(file => kind.fits.test(file) && disk.lastSynced(file).length > 0)
  if (paths.length === 0) return undefined
  const path = random.pick(paths)
  const sectors = disk.lastSynced(path)
  // A segment that came with a snapshot bears another directory's id until its head is written anew: the old head is refused, with a sentence.
  if (kind.name === 'segment' && sectors[0] === 0) return undefined
  const end = Math.ceil(usedBytes(disk.durableBytes(path) ?? new Uint8Array(0)) / sectorBytes)
  const toSector = isMisdirected && end > 0 ? random.integer(0, end - 1) : undefined
  disk.loseLastSync(path, toSector)
  const where = toSector === undefined ? 'nothing' : `to byte ${toSector * sectorBytes}`
  return `the last sync of ${path} wrote ${where} instead of ${sectors.length} sectors at byte ${(sectors[0] ?? 0) * sectorBytes}`
}

/** Without the zeros that were written ahead. */
function usedBytes(bytes: Uint8Array): number {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end -= 1
  return end
}

function flipped(bytes: Uint8Array, position: number, random: SimRandom): Uint8Array {
  return Uint8Array.of((bytes[position] ?? 0) ^ (1 << random.integer(0, 7)))
}
