import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Set by .ci/run, which counts from it.
const report = process.env.TAGLOOM_TEST_REPORT

export default defineConfig({
  test: {
    pool: 'forks',
    execArgv: ['--import', fileURLToPath(new URL('packages/service-kit/src/quick-imports.ts', import.meta.url))],
    include: ['packages/**/*.test.ts', 'services/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**'],
    globalSetup: ['./packages/local-servers/src/vitest-global-setup.ts'],
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
