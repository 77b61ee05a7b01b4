import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createJob, readLlmCalls } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { writeTinyTextModel } from '@tagloom/inference/testing'
import { openTestDeps } from '@tagloom/service-kit/testing'
import { expect, test } from 'vitest'
import { environment } from '../config.ts'
import type { LabelObserver } from './language-model.ts'
import { openLanguageModel } from './open-language-model.ts'
import { buildPrompt } from './prompt.ts'

/** An observer that notes what it is told. */
function note(told: unknown[][]): LabelObserver {
  const on =
    (name: string) =>
    (...args: unknown[]) =>
      void told.push([name, ...args])
  return {
    called: on('called'),
    timedOut: on('timedOut'),
    failed: on('failed'),
    unreadable: on('unreadable'),
    budgetSpent: on('budgetSpent'),
  }
}

test('a local model decodes an answer; what it says is parsed like any other, and its tokens are counted', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tagloom-local-llm-'))
  await writeTinyTextModel(folder)
  const deps = await openTestDeps('tagger', environment, { LLM_LOCAL_MODEL: folder, INFERENCE_THREADS: '1' })
  const { languageModel, close } = await openLanguageModel(deps)
  const messages = buildPrompt({
    pages: [{ title: 'Sourdough', excerpt: 'bread yeast flour oven dough' }],
    keyphrases: ['sourdough bread'],
    vocabulary: [],
    tags: 3,
  })
  const told: unknown[][] = []
  const wikiId = await createTestWiki(deps.db)
  const job = (await deps.db.transaction((tx) => createJob(tx, { wikiId, options: {} })))!
  const question = { jobId: job.id, batch: 0, messages, budget: { tokens: undefined, usd: undefined } }
  const labels = await languageModel!.labels(question, note(told), new AbortController().signal)
  // Thirty words strung together are no JSON: one call, counted as unreadable, and the cluster gets its keyphrases.
  expect(labels).toBeUndefined()
  expect(told.map(([name]) => name)).toEqual(['called', 'unreadable'])
  const [call, ...more] = await readLlmCalls(deps.db, job.id, 0)
  expect(more).toEqual([])
  expect(call).toMatchObject({ outcome: 'unreadable', costUsd: 0 })
  expect(call!.tokensIn).toBeGreaterThan(0)
  expect(call!.tokensOut).toBeGreaterThan(0)
  await close()
  await deps.close()
  await rm(folder, { recursive: true, force: true })
})

test('an endpoint and a local model together are refused', async () => {
  const both = { LLM_LOCAL_MODEL: '/nowhere', LLM_ENDPOINT: 'http://127.0.0.1:9/v1', LLM_MODEL: 'm' }
  const deps = await openTestDeps('tagger', environment, both)
  await expect(openLanguageModel(deps)).rejects.toThrow(/both set, expected one/u)
  await deps.close()
})
