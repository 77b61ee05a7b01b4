import type { TestProject } from 'vitest/node'
import { TestBroker } from './test-broker.ts'

declare module 'vitest' {
  interface ProvidedContext {
    testBroker: string
    testRunId: string
    /** PATH and HOME, for the processes that a test starts */
    testEnvironment: { PATH: string; HOME: string }
  }
}

/** Before the first test file: opens the broker of the run's servers. After the last: ends what it started. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const broker = new TestBroker(process.env)
  project.provide('testBroker', await broker.listen())
  project.provide('testRunId', broker.runId)
  project.provide('testEnvironment', { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' })
  return () => broker.close()
}
