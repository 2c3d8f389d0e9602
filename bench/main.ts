/** `npm run bench [-- -o json] [--seconds 5] [--only "send leader 64"]`: see points.ts. The micro-benchmarks of the hot paths: `npm run bench:micro`. */
import { parseArgs } from 'node:util'
import { printBench } from './points.ts'

const { values } = parseArgs({
  options: { output: { type: 'string', short: 'o', default: 'text' }, seconds: { type: 'string', default: '5' }, only: { type: 'string' } },
})
await printBench({ isJson: values.output === 'json', seconds: Number(values.seconds), only: values.only })
process.exit(0)
