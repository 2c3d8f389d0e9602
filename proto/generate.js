// Makes proto/gen from the .proto files: `npm run proto`, before build and test. Plain JavaScript, because it runs before anything is built.
// Static classes as ES modules with types; 64-bit fields are numbers (src/platform/protobuf.ts makes that true at run time).
// Does nothing when the outputs are newer than every input.
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import pbjs from 'protobufjs-cli/pbjs.js'

const here = dirname(fileURLToPath(import.meta.url))
const gen = join(here, 'gen')

const bundles = [
  // admin.proto is part of the contract (and of its test) but has no code here yet: nothing serves it.
  { name: 'rocketmq-v2', files: ['definition', 'service'].map(file => `apache/rocketmq/v2/${file}.proto`) },
  { name: 'raftmq-v1', files: ['peer', 'cluster'].map(file => `raftmq/v1/${file}.proto`) },
]

// What nobody calls would only cost start-up time and memory.
const leftOut = ['--no-verify', '--no-convert', '--no-delimited', '--no-typeurl', '--no-service']

for (const bundle of bundles) {
  if (isFresh(bundle)) continue
  mkdirSync(gen, { recursive: true })
  const partial = join(gen, `.${bundle.name}-${process.pid}.js`)
  const options = ['-t', 'static-module', '-w', 'esm', '--dts', '--force-number', '--alt-comment', ...leftOut, '-r', bundle.name]
  await run([...options, '-p', here, '-o', partial, ...bundle.files.map(file => join(here, file))])
  // Node resolves files, not folders, in ES modules: the generated import must name the file, extension and all.
  const code = readFileSync(partial, 'utf8').replace(/from (["'])protobufjs\/minimal\1/, 'from "protobufjs/minimal.js"')
  writeFileSync(partial, code)
  // Renamed when complete, so that two runs at once never read a half-written module; types first, the module is what isFresh looks at.
  renameSync(partial.replace(/\.js$/, '.d.ts'), join(gen, `${bundle.name}.d.ts`))
  renameSync(partial, join(gen, `${bundle.name}.js`))
}

/** Runs pbjs in this process. */
function run(args) {
  return new Promise((resolve, reject) => pbjs.main(args, error => (error ? reject(error) : resolve())))
}

function isFresh(bundle) {
  const inputs = [fileURLToPath(import.meta.url), ...bundle.files.map(file => join(here, file))]
  const outputs = ['.d.ts', '.js'].map(end => join(gen, bundle.name + end))
  const newest = Math.max(...inputs.map(file => statSync(file).mtimeMs))
  return outputs.every(file => (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) > newest)
}
