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

/** Another process holds the directory: no fault of the disk, and nothing was changed. */
export class DirectoryInUse extends StorageError {}

/** A piece of the queue index has rotted, and was set aside: the node must start again, which makes the index anew. No disk call has failed. */
export class IndexRot extends StorageError {}

/** There would be no room, or none but what the node needs for itself: the system was not even asked. */
export class NoRoom extends StorageError {}

/** An error of the system, or one of ours about it: the disk's fault, and not a bug of ours. A file that is not there is none. */
export function isDiskError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  return error.name === 'StorageError' || ('code' in error && typeof error.code === 'string' && error.code !== 'ENOENT')
}

/** The disk is full. As final as any other error for what had to be written; and it goes away. (LevelDB tells it in words, some causes deep.) */
export function isNoRoom(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? error.code : undefined
  return error instanceof NoRoom || code === 'ENOSPC' || code === 'EDQUOT' || /no space left/i.test(error.message) || isNoRoom(error.cause)
}

/** What these calls of the disk failed with. Whatever else is thrown is none of the disk's, and goes on. */
export function diskErrorOf(act: () => void): Error | undefined {
  try {
    act()
  } catch (error) {
    if (!isDiskError(error)) throw error
    return error
  }
  return undefined
}

/** What the system said, where several layers have put their own words around it. */
export function innermost(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? innermost(error.cause) : error.message
}

/** What an operator does about it: the end of the sentence that a node stops with. */
export function whatNext(error: unknown): string {
  return isNoRoom(error)
    ? 'this node goes silent and stops; make room on its disk and start it again, nothing that was acknowledged is lost'
    : 'this node goes silent and stops; look at its disk, and replace the member if the disk is broken'
}
