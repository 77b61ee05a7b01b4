import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// Set by .ci/run, which counts from it.
const report = process.env.TAGLOOM_TEST_REPORT

/** What these claim is a time that they measure: nothing of ours runs beside them, and they come last. */
const timed = [
  'packages/database/src/copy.int.test.ts',
  'packages/inference/src/embedding/embedder.test.ts',
  'packages/launcher/src/bootstrap.test.ts',
  'packages/service-kit/src/event-loop.test.ts',
  'services/clusterer/src/clusterer.int.test.ts',
  'services/clusterer/src/large-wiki.int.test.ts',
  'test/e2e/live-record.int.test.ts',
  'test/e2e/run-record.int.test.ts',
]

/** The longest first, which are those of the whole system, so that none begins when all others are done. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) =>
      ['/test/chaos/', '/test/e2e/', '/services/'].findIndex((part) => moduleId.includes(part)) >>> 0
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}

const ofEach = {
  pool: 'forks',
  execArgv: ['--import', fileURLToPath(new URL('packages/service-kit/src/quick-imports.ts', import.meta.url))],
  testTimeout: 30_000,
  hookTimeout: 60_000,
} as const

export default defineConfig({
  test: {
    // Of the run, not of a project: one broker and one of each server.
    globalSetup: ['./packages/local-servers/src/vitest-global-setup.ts'],
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...ofEach,
          name: 'together',
          include: ['packages/**/*.test.ts', 'services/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: ['**/node_modules/**', ...timed],
          // Half of the time a worker waits: for a message to come again, a server to start, a pause to end.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      { test: { ...ofEach, name: 'timed', include: timed, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
})
