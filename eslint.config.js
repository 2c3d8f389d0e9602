import js from '@eslint/js'
import tseslint from 'typescript-eslint'
import importX from 'eslint-plugin-import-x'
import { floors } from './test/floors.js'

const up = floors.slice(0, -1).map((floor, i) => ({
  target: `./${floor}`,
  from: floors.slice(i + 1).map(f => `./${f}`),
  message: 'Imports go down the floors only; see test/floors.js.',
}))

const doors = [
  { target: './raft/core', from: ['./raft/driver', './raft/codec'], message: 'raft/core is pure.' },
  { target: './raft/core', from: './src', except: ['./platform/assert.ts'], message: 'raft/core is pure.' },
  { target: './src', from: './raft', except: ['./index.ts'], message: 'raft has one door: raft/index.ts.' },
  {
    target: './chaos',
    from: './raft',
    except: ['./index.ts'],
    message: 'The world builds nodes, not cores: raft has one door, raft/index.ts.',
  },
  { target: './src/state', from: './src/storage', message: 'src/state knows only its own store interface.' },
]

const impureGlobals = [
  'Date',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'process',
  'Promise',
  'console',
  'fetch',
  'crypto',
]

export default tseslint.config(
  { ignores: ['dist', 'proto/gen', 'node_modules', 'coverage', 'test/mutants-work'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['test/floors.js', 'eslint.config.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    plugins: { 'import-x': importX },
    settings: { 'import-x/extensions': ['.ts'] },
    rules: {
      'import-x/no-restricted-paths': ['error', { basePath: import.meta.dirname, zones: [...up, ...doors] }],
      'import-x/no-cycle': 'error',
      'import-x/no-default-export': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidOperator: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
    },
  },
  {
    files: ['raft/core/**/*.ts', 'src/state/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-globals': ['error', ...impureGlobals],
      'no-restricted-properties': ['error', { object: 'Math', property: 'random', message: 'Chance enters as an event.' }],
      'no-restricted-imports': ['error', { patterns: ['node:*'] }],
      'no-restricted-syntax': ['error', { selector: ':function[async=true]', message: 'This floor is synchronous.' }],
    },
  },
  {
    // Above src/platform nobody touches the real clock, random source, disk or network: they come in through the seams.
    files: [
      'raft/driver/**/*.ts',
      'raft/codec/**/*.ts',
      'src/storage/**/*.ts',
      'src/broker/**/*.ts',
      'src/node/**/*.ts',
      'chaos/sim/**/*.ts',
    ],
    // serve.ts is the shell that hands in the real ones.
    ignores: ['**/*.test.ts', 'src/node/serve.ts', 'src/node/digest-worker.ts'],
    rules: {
      'no-restricted-globals': ['error', ...impureGlobals.filter(name => !['Promise', 'process'].includes(name))],
      'no-restricted-properties': ['error', { object: 'Math', property: 'random', message: 'Use the random seam.' }],
      'no-restricted-imports': ['error', { patterns: ['node:fs', 'node:fs/*', 'node:net', 'node:timers', 'node:timers/*'] }],
    },
  },
  { files: ['*.config.ts', '*.config.js'], rules: { 'import-x/no-default-export': 'off' } },
  { files: ['**/*.js'], extends: [tseslint.configs.disableTypeChecked] },
)
