/** For the tests of the checkers: by which violation an act is refused. */
import { Violation } from '../violation.ts'

/** `none` when nothing is refused; what is no violation goes on. */
export function idOf(act: () => void): string {
  try {
    act()
  } catch (error) {
    if (error instanceof Violation) return error.id
    throw error
  }
  return 'none'
}
