/**
 * One file of a simulated disk: what a living process sees, what a power cut would leave, and everything in between, sector by sector.
 *
 * A sector that was written since the last sync is dirty: a power cut keeps its synced content, its newest, or any version in between, each
 * sector for itself. The same goes for the file's length. A failed sync forgets what was dirty without making it durable (fsyncgate).
 * A sector may be harmed at rest: then what an honest disk would hold in its place is remembered until it is written again.
 */
import { assert } from '../../src/platform/assert.ts'
import type { SimRandom } from './random.ts'

export const sectorBytes = 512
/** Of a sector rewritten many times between two syncs only so many older versions are remembered. */
const olderVersionsMax = 4

interface DirtySector {
  /** Number of the write that made the present content. */
  sequence: number
  /** Contents before it, oldest first, with the numbers of the writes that made them. The synced one is not here. */
  readonly older: { readonly sequence: number; readonly bytes: Uint8Array }[]
}

export interface PowerCutOdds {
  /** A dirty sector keeps something unsynced with this probability, drawn anew for each crash between the two. */
  readonly keepLow: number
  readonly keepHigh: number
  /** A crash tears one dirty sector (garbage where it was being changed) with this probability. */
  readonly tear: number
}

export class DiskImage {
  /** For messages; a rename does not change it. */
  readonly path: string
  #seen: Uint8Array = new Uint8Array(0)
  #seenBytes = 0
  #synced: Uint8Array = new Uint8Array(0)
  #syncedBytes = 0
  readonly #dirty = new Map<number, DirtySector>()
  #sequence = 0
  /** Lengths since the last sync, oldest first, with the numbers of the writes that made them. */
  #lengths: { readonly sequence: number; readonly bytes: number }[] = []
  /** By harmed sector: its synced content as it was written. */
  readonly #honest = new Map<number, Uint8Array>()
  /** Written into harmed sectors since: the next sync makes it durable on an honest disk too. */
  #honestWrites: { readonly sequence: number; readonly sector: number; readonly from: number; readonly bytes: Uint8Array }[] = []
  /** By sector: what stood there before the last sync that made anything durable; undefined where nobody asks. */
  readonly #beforeSync: Map<number, Uint8Array> | undefined

  /** `remembersSync`: the last sync can be taken back, or be found to have gone elsewhere. */
  constructor(path: string, remembersSync = false) {
    this.path = path
    this.#beforeSync = remembersSync ? new Map() : undefined
  }

  get sizeBytes(): number {
    return this.#seenBytes
  }

  get dirtySectors(): number {
    return this.#dirty.size
  }

  /** A moment in the order of writes: a sync that starts now covers what was written up to here. */
  get sequence(): number {
    return this.#sequence
  }

  read(target: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(target.length, this.#seenBytes - position))
    target.set(this.#seen.subarray(position, position + count))
    return count
  }

  write(source: Uint8Array, position: number): void {
    if (source.length === 0) return
    const end = position + source.length
    this.#seen = reserve(this.#seen, end)
    this.#sequence++
    for (let sector = Math.floor(position / sectorBytes); sector * sectorBytes < end; sector++) this.#touch(sector)
    if (this.#honest.size > 0) this.#noteHonest(source, position)
    this.#seen.set(source, position)
    if (end > this.#seenBytes) this.#setLength(end)
    // After a sync that failed: what is written once more takes the file's length with it, up to there.
    else if (end > Math.max(this.#syncedBytes, this.#lengths.at(-1)?.bytes ?? 0))
      this.#lengths.push({ sequence: this.#sequence, bytes: end })
  }

  truncate(sizeBytes: number): void {
    this.#sequence++
    if (sizeBytes < this.#seenBytes) this.#seen.fill(0, sizeBytes, this.#seenBytes)
    this.#seen = reserve(this.#seen, sizeBytes)
    this.#setLength(sizeBytes)
    for (const [sector, bytes] of this.#honest) {
      if (sector * sectorBytes >= sizeBytes) this.#honest.delete(sector)
      else bytes.fill(0, Math.min(sectorBytes, sizeBytes - sector * sectorBytes))
    }
  }

  /** Makes durable what had been written when the sync began. */
  sync(startedAt: number): void {
    const before = this.#beforeSync
    if (before !== undefined && this.#dirty.size > 0) {
      before.clear()
      for (const sector of this.#dirty.keys()) before.set(sector, this.#syncedSector(sector).slice())
    }
    for (const [sector, dirty] of this.#dirty) {
      if (dirty.sequence <= startedAt) {
        this.#makeDurable(sector, this.#sectorOf(sector))
        this.#dirty.delete(sector)
        continue
      }
      const covered = dirty.older.findLast(version => version.sequence <= startedAt)
      if (covered === undefined) continue
      this.#makeDurable(sector, covered.bytes)
      dirty.older.splice(0, dirty.older.indexOf(covered) + 1)
    }
    const covered = this.#lengths.findLast(length => length.sequence <= startedAt)
    if (covered !== undefined) {
      this.#resizeSynced(covered.bytes)
      this.#lengths = this.#lengths.filter(length => length.sequence > startedAt)
    }
    for (const { sequence, sector, from, bytes } of this.#honestWrites)
      if (sequence <= startedAt) this.#honest.get(sector)?.set(bytes, from)
    this.#honestWrites = this.#honestWrites.filter(write => write.sequence > startedAt)
    this.#forgetMended()
  }

  /** A sync failed: the system takes the pages for clean. The process still sees them; a power cut loses them. */
  dropDirty(): void {
    this.#dirty.clear()
    this.#honestWrites = []
    this.#lengths = []
  }

  /** Flips one bit at rest. */
  flipBit(position: number, bit: number): void {
    for (const image of [this.#seen, this.#synced]) {
      if (position < image.length) image[position] = (image[position] ?? 0) ^ (1 << bit)
    }
  }

  /** Sectors that hold something else than what was written to them. */
  get harmedSectors(): number {
    return this.#honest.size
  }

  /**
   * Puts other bytes in the place of what was synced. `isHidden`: the page cache still has what was there, and shows it until the power is cut. Nothing
   * happens where a write has not been synced yet, or where nothing has been: false then.
   */
  harm(source: Uint8Array, position: number, isHidden: boolean): boolean {
    const end = position + source.length
    if (end > this.#syncedBytes || end > this.#seenBytes) return false
    const sectors: number[] = []
    for (let sector = Math.floor(position / sectorBytes); sector * sectorBytes < end; sector++) sectors.push(sector)
    if (sectors.some(sector => this.#dirty.has(sector))) return false
    for (const sector of sectors) {
      if (!this.#honest.has(sector)) this.#honest.set(sector, this.#syncedSector(sector).slice())
    }
    this.#synced.set(source, position)
    if (!isHidden) this.#seen.set(source, position)
    this.#forgetMended()
    return true
  }

  /** Sectors that the last sync wrote, ascending. */
  lastSynced(): readonly number[] {
    return [...(this.#beforeSync?.keys() ?? [])].sort((left, right) => left - right)
  }

  /**
   * With the power off: the last sync was acknowledged, and nothing was written. `toSector`: it was, to another place of the file, and what stood there
   * is harmed.
   */
  loseLastSync(toSector?: number): void {
    const sectors = this.lastSynced()
    const first = sectors[0] ?? 0
    const place = (bytes: Uint8Array, sector: number): boolean => {
      const room = this.#syncedBytes - sector * sectorBytes
      return room > 0 && this.harm(bytes.subarray(0, room), sector * sectorBytes, false)
    }
    const written = sectors.map(sector => this.#syncedSector(sector).slice())
    for (const sector of sectors) place(this.#beforeSync?.get(sector) ?? new Uint8Array(sectorBytes), sector)
    this.#beforeSync?.clear()
    if (toSector === undefined) return
    for (const [i, sector] of sectors.entries()) {
      const to = toSector + sector - first
      if (!sectors.includes(to)) place(written[i] ?? new Uint8Array(sectorBytes), to)
    }
  }

  /** The synced bytes as an honest disk would hold them; undefined when this one does. */
  honestBytes(): Uint8Array | undefined {
    if (this.#honest.size === 0) return undefined
    const bytes = this.syncedBytes()
    for (const [sector, honest] of this.#honest) {
      const start = sector * sectorBytes
      bytes.set(honest.subarray(0, Math.max(0, bytes.length - start)), start)
    }
    return bytes
  }

  /** What the disk holds after the power was cut: the file goes on with that, all of it synced. */
  cutPower(random: SimRandom, odds: PowerCutOdds): void {
    const keep = odds.keepLow + (odds.keepHigh - odds.keepLow) * random.next()
    const sectors = [...this.#dirty.keys()].sort((a, b) => a - b)
    // A single sector is on the disk whole or not at all: only a larger write can tear.
    const torn = sectors.length > 1 && random.next() < odds.tear ? random.pick(sectors) : undefined
    const lengthBefore = this.#syncedBytes
    if (this.#lengths.length > 0 && random.next() < keep) this.#resizeSynced(random.pick(this.#lengths).bytes)
    for (const sector of sectors) {
      this.#beforeSync?.delete(sector)
      if (random.next() >= keep && sector !== torn) continue
      const { sequence, bytes: content } = sector === torn ? this.#tornSector(sector, random) : this.#anyVersion(sector, random)
      this.#keepHonest(sector, sequence, content)
      const end = Math.min((sector + 1) * sectorBytes, Math.max(this.#seenBytes, lengthBefore))
      // A kept sector behind the old end makes the file that long; what lies between reads as zeros.
      if (end > this.#syncedBytes && sector * sectorBytes < this.#seenBytes) this.#resizeSynced(end)
      this.#makeDurable(sector, content)
    }
    this.#dirty.clear()
    this.#honestWrites = []
    this.#lengths = []
    this.#synced.fill(0, this.#syncedBytes)
    this.#seen = this.#synced.slice()
    this.#seenBytes = this.#syncedBytes
    this.#forgetMended()
  }

  /** The bytes that a power cut could not take. */
  syncedBytes(): Uint8Array {
    return this.#synced.slice(0, this.#syncedBytes)
  }

  /** The same, lent: valid until the next sync. */
  syncedView(): Uint8Array {
    return this.#synced.subarray(0, this.#syncedBytes)
  }

  /** What has rotted is not mended by writing down again what was read of it. */
  #noteHonest(source: Uint8Array, position: number): void {
    for (const sector of this.#honest.keys()) {
      const start = sector * sectorBytes
      const from = Math.max(start, position)
      const to = Math.min(start + sectorBytes, position + source.length)
      if (from >= to) continue
      const bytes = source.slice(from - position, to - position)
      if (Buffer.compare(bytes, this.#seen.subarray(from, to)) === 0) continue
      this.#honestWrites.push({ sequence: this.#sequence, sector, from: from - start, bytes })
    }
  }

  /** The power has left a sector as the write `sequence` made it, or garbage there: so it would be on an honest disk, where something was written. */
  #keepHonest(sector: number, sequence: number, content: Uint8Array): void {
    const honest = this.#honest.get(sector)
    for (const write of this.#honestWrites) {
      if (write.sector !== sector || write.sequence > sequence) continue
      honest?.set(content.subarray(write.from, write.from + write.bytes.length), write.from)
    }
  }

  #forgetMended(): void {
    for (const [sector, honest] of this.#honest) if (Buffer.compare(honest, this.#syncedSector(sector)) === 0) this.#honest.delete(sector)
  }

  #syncedSector(sector: number): Uint8Array {
    this.#synced = reserve(this.#synced, (sector + 1) * sectorBytes)
    return this.#synced.subarray(sector * sectorBytes, (sector + 1) * sectorBytes)
  }

  #touch(sector: number): void {
    const dirty = this.#dirty.get(sector)
    if (dirty === undefined) {
      this.#dirty.set(sector, { sequence: this.#sequence, older: [] })
      return
    }
    dirty.older.push({ sequence: dirty.sequence, bytes: this.#sectorOf(sector).slice() })
    if (dirty.older.length > olderVersionsMax) dirty.older.shift()
    dirty.sequence = this.#sequence
  }

  #anyVersion(sector: number, random: SimRandom): { readonly sequence: number; readonly bytes: Uint8Array } {
    const older = this.#dirty.get(sector)?.older ?? []
    const version = random.integer(0, older.length)
    return older[version] ?? { sequence: Infinity, bytes: this.#sectorOf(sector) }
  }

  /**
   * Garbage where the newest version differs from the synced one, and nowhere else: what a write does not change survives it (SQLite calls that
   * powersafe overwrite). Without that no log could put a second record into a sector.
   */
  #tornSector(sector: number, random: SimRandom): { readonly sequence: number; readonly bytes: Uint8Array } {
    const torn = this.#sectorOf(sector).slice()
    const start = sector * sectorBytes
    const garbage = random.bytes(sectorBytes)
    for (let i = 0; i < sectorBytes; i++) if (torn[i] !== (this.#synced[start + i] ?? 0)) torn[i] = garbage[i] ?? 0
    return { sequence: Infinity, bytes: torn }
  }

  #sectorOf(sector: number): Uint8Array {
    return this.#seen.subarray(sector * sectorBytes, (sector + 1) * sectorBytes)
  }

  #makeDurable(sector: number, content: Uint8Array): void {
    const start = sector * sectorBytes
    this.#synced = reserve(this.#synced, start + sectorBytes)
    this.#synced.set(content.subarray(0, sectorBytes), start)
  }

  #setLength(sizeBytes: number): void {
    this.#seenBytes = sizeBytes
    this.#lengths.push({ sequence: this.#sequence, bytes: sizeBytes })
  }

  #resizeSynced(sizeBytes: number): void {
    this.#synced = reserve(this.#synced, sizeBytes)
    if (sizeBytes < this.#syncedBytes) this.#synced.fill(0, sizeBytes, this.#syncedBytes)
    this.#syncedBytes = sizeBytes
    assert(this.#synced.length >= sizeBytes, 'image-size', sizeBytes)
  }
}

/** At least so many bytes, whole sectors, zeros behind what there was. */
function reserve(bytes: Uint8Array, count: number): Uint8Array {
  if (bytes.length >= count) return bytes
  const room = Math.max(sectorBytes, bytes.length * 2, Math.ceil(count / sectorBytes) * sectorBytes)
  const result = new Uint8Array(room)
  result.set(bytes)
  return result
}
