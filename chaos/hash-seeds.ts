/** Runs the seeds from … to … and prints a line for each: its number and the hash of everything that happened. For determinism.test.ts, as a process. */
import { traceLine } from './seed-batch.ts'
import { runSeed } from './world.ts'

const [from = 1, to = 1] = process.argv.slice(2).map(Number)
for (let seed = from; seed <= to; seed += 1) process.stdout.write(`${traceLine(seed, runSeed(seed))}\n`)
