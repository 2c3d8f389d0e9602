import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'raft/**/*.test.ts', 'chaos/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'],
    exclude: ['dist/**', 'node_modules/**', 'test/interop/**/node_modules/**'],
    pool: 'forks',
    // CI counts the tests from this file.
    reporters: process.env.CI === undefined ? ['default'] : ['default', ['json', { outputFile: '.ci/results.json' }]],
    testTimeout: 20_000,
    hookTimeout: 30_000,
  },
})
