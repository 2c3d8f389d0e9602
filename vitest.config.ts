import { defineConfig } from 'vitest/config'

const excluded = ['dist/**', 'node_modules/**', 'test/interop/**/node_modules/**']
const workers = { pool: 'forks', testTimeout: 20_000, hookTimeout: 30_000 } as const

export default defineConfig({
  test: {
    // CI counts the tests from this file.
    reporters: process.env.CI === undefined ? ['default'] : ['default', ['json', { outputFile: '.ci/results.json' }]],
    projects: [
      {
        test: {
          ...workers,
          name: 'inside',
          include: ['src/**/*.test.ts', 'raft/**/*.test.ts', 'chaos/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'],
          exclude: [...excluded, 'test/e2e/**'],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Whole clusters, which look at real clocks: one at a time, and when nothing else runs.
        test: {
          ...workers,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: excluded,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
