/**
 * The names of a simulated disk: path → image as the living process sees it, and as a power cut would leave it. A creation, renaming or removal is
 * pending until its directory is synced; a power cut keeps any subset of what is pending (a rename as a whole or not at all).
 */
import * as path from 'node:path'
import { DiskImage } from './disk-image.ts'
import type { SimRandom } from './random.ts'

interface NameChange {
  readonly directory: string
  readonly removed: string | undefined
  readonly added: { readonly path: string; readonly image: DiskImage } | undefined
}

/** There without being made. */
const roots = ['/', '.']

export class DiskNames {
  #seen = new Map<string, DiskImage>()
  #synced = new Map<string, DiskImage>()
  #pending: NameChange[] = []
  readonly #remembersSyncs: boolean
  readonly #directories = new Set<string>(roots)

  constructor(remembersSyncs: boolean) {
    this.#remembersSyncs = remembersSyncs
  }

  find(filePath: string): DiskImage | undefined {
    return this.#seen.get(filePath)
  }

  /** The image that the name would have after a power cut that keeps nothing unsynced. */
  findSynced(filePath: string): DiskImage | undefined {
    return this.#synced.get(filePath)
  }

  exists(anyPath: string): boolean {
    return this.#seen.has(anyPath) || this.#directories.has(anyPath)
  }

  /** Names of files and directories in a directory, sorted. */
  list(directory: string): string[] {
    const names: string[] = []
    for (const filePath of this.#seen.keys()) if (path.dirname(filePath) === directory) names.push(path.basename(filePath))
    for (const one of this.#directories) if (one !== directory && path.dirname(one) === directory) names.push(path.basename(one))
    return names.sort()
  }

  paths(): string[] {
    return [...this.#seen.keys()].sort()
  }

  /** Of all named files, in a fixed order. */
  images(): DiskImage[] {
    return this.paths().flatMap(filePath => this.#seen.get(filePath) ?? [])
  }

  totalBytes(): number {
    let bytes = 0
    for (const image of this.#seen.values()) bytes += image.sizeBytes
    return bytes
  }

  makeDirectory(directory: string): void {
    for (let one = directory; !this.#directories.has(one); one = path.dirname(one)) this.#directories.add(one)
  }

  create(filePath: string): DiskImage {
    const image = new DiskImage(filePath, this.#remembersSyncs)
    this.#change({ directory: path.dirname(filePath), removed: undefined, added: { path: filePath, image } })
    return image
  }

  rename(from: string, to: string): void {
    const image = this.#seen.get(from)
    if (image === undefined) return
    this.#change({ directory: path.dirname(to), removed: from, added: { path: to, image } })
  }

  remove(filePath: string): void {
    this.#change({ directory: path.dirname(filePath), removed: filePath, added: undefined })
  }

  syncDirectory(directory: string): void {
    const rest: NameChange[] = []
    for (const change of this.#pending) {
      if (change.directory === directory) carryOut(this.#synced, change)
      else rest.push(change)
    }
    this.#pending = rest
  }

  /** Each pending change is kept with probability `keep`. */
  cutPower(random: SimRandom, keep: number): void {
    for (const change of this.#pending) if (random.next() < keep) carryOut(this.#synced, change)
    this.#pending = []
    this.#seen = new Map(this.#synced)
  }

  /** The disk is another one: nothing is on it. */
  clear(): void {
    this.#seen.clear()
    this.#synced.clear()
    this.#pending = []
    this.#directories.clear()
    for (const root of roots) this.#directories.add(root)
  }

  #change(change: NameChange): void {
    carryOut(this.#seen, change)
    this.#pending.push(change)
  }
}

function carryOut(names: Map<string, DiskImage>, change: NameChange): void {
  if (change.removed !== undefined) names.delete(change.removed)
  if (change.added !== undefined) names.set(change.added.path, change.added.image)
}
