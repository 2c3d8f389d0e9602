/**
 * The demo's terminal: lines that scroll, one line at the foot that is drawn over, and keys. Takes the terminal when it opens; gives it back when it
 * closes, and also when the process ends in any other way that it can notice.
 */
import { actionOf, type DemoAction } from './demo-keys.ts'

const clearLine = '\r\u001b[2K'
const hideCursor = '\u001b[?25l'
const showCursor = '\u001b[?25h'
/** Keys that wait for their action; more are ignored. */
const waitingMax = 8
const columnsDefault = 80

export interface DemoScreen {
  /** Given when the person, or the system, wants it to end at once. */
  readonly signal: AbortSignal
  readonly print: (line: string) => void
  /** Makes the line at the foot, for so many columns; drawn now and after each print. */
  setFoot(foot: (columns: number) => string): void
  /** The next key that means something; throws when it is to end at once. */
  nextAction(): Promise<Exclude<DemoAction, 'abort'>>
  readonly isOpen: boolean
  /** Gives the terminal back. Idempotent. */
  close(): void
}

export function openDemoScreen(): DemoScreen {
  const { stdin, stdout } = process
  const controller = new AbortController()
  const waiting: Exclude<DemoAction, 'abort'>[] = []
  let wake: () => void = () => undefined
  let foot: (columns: number) => string = () => ''
  let isClosed = false

  const draw = (): void => void stdout.write(`${clearLine}${foot(stdout.columns || columnsDefault)}`)
  const abort = (): void => {
    controller.abort()
    wake()
  }
  const pressed = (keys: Buffer): void => {
    for (const key of keys.toString('latin1')) {
      const action = actionOf(key)
      if (action === 'abort') abort()
      else if (action !== undefined && waiting.length < waitingMax) waiting.push(action)
    }
    wake()
  }
  const close = (): void => {
    if (isClosed) return
    isClosed = true
    stdin.off('data', pressed)
    stdout.off('resize', draw)
    stdin.setRawMode(false)
    stdin.pause()
    stdout.write(`${clearLine}${showCursor}`)
  }

  stdin.setRawMode(true)
  stdin.resume()
  stdin.on('data', pressed)
  stdout.on('resize', draw)
  stdout.write(hideCursor)
  process.once('SIGTERM', abort)
  process.once('SIGHUP', abort)
  process.once('exit', close)

  return {
    signal: controller.signal,
    get isOpen() {
      return !isClosed
    },
    print(line) {
      stdout.write(`${clearLine}${line}\n`)
      if (!isClosed) draw()
    },
    setFoot(next) {
      foot = next
      if (!isClosed) draw()
    },
    async nextAction() {
      for (;;) {
        if (controller.signal.aborted) throw new Error('interrupted')
        const action = waiting.shift()
        if (action !== undefined) return action
        await new Promise<void>(done => (wake = done))
      }
    },
    close,
  }
}
