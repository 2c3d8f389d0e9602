/**
 * Assertions that stay on in production. A failed one means that we broke something, never that input was bad:
 * nobody catches it, the process ends, and the peers carry on.
 * Give a literal code and raw values; never build a message at the call (a template string there is ~150× dearer).
 */
export class AssertionError extends Error {
  readonly code: string
  readonly values: readonly unknown[]

  constructor(code: string, values: readonly unknown[]) {
    super(values.length === 0 ? code : `${code}: ${values.map(String).join(', ')}`)
    this.name = 'AssertionError'
    this.code = code
    this.values = values
  }
}

/** Throws an AssertionError with `code` and up to three values unless `condition` holds. */
export function assert(condition: boolean, code: string, a?: unknown, b?: unknown, c?: unknown): asserts condition {
  if (!condition) fail(code, a, b, c)
}

function fail(code: string, a: unknown, b: unknown, c: unknown): never {
  throw new AssertionError(
    code,
    [a, b, c].filter(value => value !== undefined),
  )
}

/** The default branch of an exhaustive switch: a new kind does not compile until someone has decided what it means. */
export function assertNever(value: never): never {
  throw new AssertionError('assert-never', [JSON.stringify(value)])
}

/** The value, which the caller knows to be there. */
export function mustExist<T>(value: T | undefined, code: string, a?: unknown, b?: unknown): T {
  assert(value !== undefined, code, a, b)
  return value
}
