/** The keys of the demo, in the order in which the screen lists them. */
export type DemoAction = 'kill' | 'freeze' | 'cut' | 'handOver' | 'restore' | 'traffic' | 'verify' | 'quit' | 'abort'

interface DemoKey {
  readonly key: string
  readonly action: DemoAction
  /** As the screen shows it; empty = not shown. */
  readonly label: string
}

const keys: readonly DemoKey[] = [
  { key: 'k', action: 'kill', label: 'kill leader' },
  { key: 'f', action: 'freeze', label: 'freeze it' },
  { key: 'c', action: 'cut', label: 'cut it off' },
  { key: 'h', action: 'handOver', label: 'hand over' },
  { key: 'r', action: 'restore', label: 'restore' },
  { key: 't', action: 'traffic', label: 'traffic' },
  { key: 'v', action: 'verify', label: 'verify' },
  { key: 'q', action: 'quit', label: 'quit' },
  { key: '\u0003', action: 'abort', label: '' },
  { key: '\u0004', action: 'quit', label: '' },
]

/** What a key press asks for; undefined = nothing. Capitals count as small letters. */
export function actionOf(pressed: string): DemoAction | undefined {
  return keys.find(({ key }) => key === pressed.toLowerCase())?.action
}

const keysPerLine = 4

/** Lines that name them all. */
export function keysLines(): readonly string[] {
  const shown = keys.filter(({ label }) => label !== '').map(({ key, label }) => `[${key}] ${label}`)
  const lines: string[] = []
  for (let i = 0; i < shown.length; i += keysPerLine) {
    lines.push(
      shown
        .slice(i, i + keysPerLine)
        .map(each => each.padEnd(18))
        .join('')
        .trimEnd(),
    )
  }
  return lines
}
