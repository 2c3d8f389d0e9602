#!/usr/bin/env node
// Starts the built command line. CommonJS on purpose: libuv reads the size of its thread pool once, at its first use, and loading ES modules uses it.
// LevelDB, file syncs, hashing and name look-ups share that pool; with four threads a slow sync would hold up the rest.
'use strict'
const { existsSync } = require('node:fs')
const { dirname, join } = require('node:path')
const process = require('node:process')

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const main = join(dirname(module.filename), '../dist/src/cli/main.js')

if (major < 20 || (major === 20 && minor < 18)) {
  process.stderr.write(`raftmq needs Node.js 20.18 or later; this is ${process.versions.node}\n`)
  process.exitCode = 2
} else if (!existsSync(main)) {
  process.stderr.write('raftmq is not built yet: run `npm run build` first\n')
  process.exitCode = 2
} else {
  process.env.UV_THREADPOOL_SIZE ??= '8'
  import(require('node:url').pathToFileURL(main).href)
}
