/** `npm run bench [-- -o json] [--seconds 5] [--only "send leader 64"]`: see points.ts. The micro-benchmarks of the hot paths: `npm run bench:micro`. */
import { run } from '../src/cli/program.ts'

process.exit(await run(['bench', ...process.argv.slice(2)]))
