/**
 * Deletes the oldest segments from the disk, in the background, one step at a time:
 *
 *   base record written, synced, named  →  oldest segment removed for good  →  the next oldest  → …
 *
 * In this order a crash anywhere leaves a log without a gap: whatever is still there below the base is ignored and removed at the next start.
 * Removing a file of a gigabyte can take long, so it is the disk's own thread that does it. The first error is final and the owner's.
 */
import type { Disk } from '../platform/disk.ts'
import { encodeBase, writeBase } from './log-base.ts'
import type { LogBase } from './log-base.ts'
import type { Segment } from './segment.ts'
import { sidecarName } from './sidecar.ts'

export interface LogTrimOptions {
  readonly disk: Disk
  readonly directory: string
  readonly directoryId: Uint8Array
  readonly failed: (error: Error) => void
}

export class LogTrim {
  readonly #options: LogTrimOptions
  /** Oldest first; their files are closed. */
  readonly #doomed: Segment[] = []
  #wantedBase: LogBase | undefined
  #isBusy = false
  #isStopped = false
  readonly #waiting: (() => void)[] = []

  constructor(options: LogTrimOptions) {
    this.#options = options
  }

  /** Segments that are part of the log no more, which begins behind `base` now. */
  removeLater(segments: readonly Segment[], base: LogBase): void {
    this.#doomed.push(...segments)
    this.#wantedBase = base
    this.#pump()
  }

  /** Segments that wait to be removed. */
  get pending(): number {
    return this.#doomed.length
  }

  /** Starts nothing more; `done` runs when nothing is under way. What is left goes at the next start. */
  stop(done: () => void): void {
    this.#isStopped = true
    if (this.#isBusy) this.#waiting.push(done)
    else done()
  }

  #pump(): void {
    if (this.#isBusy || this.#isStopped) return
    const { disk, directory, directoryId } = this.#options
    const base = this.#wantedBase
    const segment = this.#doomed[0]
    try {
      if (base !== undefined) {
        this.#wantedBase = undefined
        this.#isBusy = true
        writeBase(disk, directory, encodeBase(base, directoryId), error => this.#stepDone(error))
      } else if (segment !== undefined) {
        this.#isBusy = true
        const sidecar = `${directory}/${sidecarName(segment)}`
        if (disk.exists(sidecar)) disk.remove(sidecar)
        disk.removeLater(`${directory}/${segment.name}`, error => {
          if (error === undefined) this.#doomed.shift()
          this.#stepDone(error)
        })
      }
    } catch (error) {
      this.#stepDone(error as Error)
    }
  }

  #stepDone(error: Error | undefined): void {
    this.#isBusy = false
    if (error !== undefined) {
      this.#isStopped = true
      this.#options.failed(error)
    }
    for (const done of this.#waiting.splice(0)) done()
    this.#pump()
  }
}
