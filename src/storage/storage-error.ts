/**
 * The disk broke its promise, or holds what we did not write. Final for the part that throws it: the node goes silent and exits with the
 * sentence (STYLE §7). The message says what happened, to what, and what is done or to do.
 */
export class StorageError extends Error {
  /** File or directory that it is about. */
  readonly path: string

  constructor(message: string, path: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'StorageError'
    this.path = path
  }
}

/** A piece of the queue index has rotted, and was set aside: the node must start again, which makes the index anew. No disk call has failed. */
export class IndexRot extends StorageError {}
