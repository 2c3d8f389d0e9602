/** cluster.example.yaml, made from the table of keys: defaults, ranges and meanings can't fall behind the code. */
import { configKeys, environmentName } from './config-table.ts'
import type { ConfigKey } from './config-table.ts'

const head = `# One file, the same on every node: raftmq start -c cluster.yaml --node n1
# Durations: 250ms 10s 5m 72h 7d. Sizes: 64KiB 4MiB 1GiB. A number without its unit is refused, an unknown key too.
# Single values can be set by the environment, e.g. ${environmentName(configKeys.logLevel.key)}=debug. All values but the nodes are the defaults.

version: 1                       # format of this file

nodes:                           # 1, 3 or 5 to begin with
  # A number is given once and never changed; without one it is the place in the list, and deleting a line moves all that follow.
  - { id: n1, number: 1, host: broker-1.internal }
  - { id: n2, number: 2, host: broker-2.internal }
  - { id: n3, number: 3, host: broker-3.internal }
  # One that comes later waits until: raftmq cluster member add n4 -c cluster.yaml
  # - { id: n4, number: 4, host: broker-4.internal, join: true }
  # A node may have its own listen, advertise and data_dir, and a leader_priority (0 to 100, 0 unless told):
  # - { id: n1, number: 1, host: 127.0.0.1, listen: { client: "127.0.0.1:18081", peer: "127.0.0.1:17081" }, data_dir: /var/lib/raftmq/n1 }
`
const commentColumn = 33

/** The whole text of the file. */
export function exampleConfig(): string {
  const lines: string[] = [head]
  let section: readonly string[] = []
  for (const key of Object.values(configKeys) as ConfigKey<unknown>[]) {
    const parts = key.key.split('.')
    const parents = parts.slice(0, -1)
    if (parents[0] !== section[0] && lines.length > 1) lines.push('')
    parents.forEach((parent, depth) => {
      if (section.slice(0, depth + 1).join('.') !== parents.slice(0, depth + 1).join('.')) lines.push(`${'  '.repeat(depth)}${parent}:`)
    })
    const value = `${'  '.repeat(parents.length)}${parts.at(-1) ?? ''}: ${key.format(key.default)}`
    lines.push(`${value.padEnd(commentColumn - 1)} # ${[key.meaning, key.range].filter(part => part !== '').join('; ')}`)
    section = parents
  }
  return `${lines.join('\n')}\n`
}
