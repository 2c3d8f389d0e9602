/** `npm run bench:micro`: one line for each hot path, each measured alone in this process (replication: in three of its own). */
import { runBench as apply } from './apply.ts'
import { runBench as pop } from './pop.ts'
import { runBench as raftReplication } from './raft-replication.ts'
import { runBench as recordEncode } from './record-encode.ts'
import { runBench as wireScan } from './wire-scan.ts'

const benches: readonly { readonly name: string; readonly run: () => object | Promise<object> }[] = [
  { name: 'wire-scan', run: wireScan },
  { name: 'record-encode', run: recordEncode },
  { name: 'apply', run: apply },
  { name: 'pop', run: pop },
  { name: 'raft-replication', run: raftReplication },
]

for (const { name, run } of benches) console.log(JSON.stringify({ name, ...(await run()) }))
process.exit(0)
