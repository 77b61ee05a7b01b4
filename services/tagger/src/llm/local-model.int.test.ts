import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createJob, readLlmCalls } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { writeTinyTextModel } from '@tagloom/inference/testing'
import { openTestDeps } from '@tagloom/service-kit/testing'
import { expect, test } from 'vitest'
import { environment } from '../config.ts'
import type { ChatPrompt } from './chat-model.ts'
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

/** A tagger's language model of thirty words and a context of 2048 tokens, and a job that asks it. */
async function openTiny() {
  const folder = await mkdtemp(join(tmpdir(), 'tagloom-local-llm-'))
  await writeTinyTextModel(folder)
  const deps = await openTestDeps('tagger', environment, { LLM_LOCAL_MODEL: folder, INFERENCE_THREADS: '1' })
  const { languageModel, close } = await openLanguageModel(deps)
  const wikiId = await createTestWiki(deps.db)
  const job = (await deps.db.transaction((tx) => createJob(tx, { wikiId, options: {} })))!
  const told: unknown[][] = []
  const budget = { tokens: undefined, usd: undefined }
  return {
    told,
    ask: (prompt: ChatPrompt) =>
      languageModel!.labels({ jobId: job.id, batch: 0, prompt, budget }, note(told), new AbortController().signal),
    calls: () => readLlmCalls(deps.db, job.id, 0),
    async close() {
      await close()
      await deps.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

test('a local model decodes an answer; what it says is parsed like any other, and its tokens are counted', async () => {
  const tiny = await openTiny()
  const prompt = buildPrompt({
    pages: [{ title: 'Sourdough', excerpt: 'bread yeast flour oven dough' }],
    keyphrases: ['sourdough bread'],
    vocabulary: [],
    tags: 3,
  })
  // Thirty words strung together are no JSON: one call, counted as unreadable, and the cluster gets its keyphrases.
  expect(await tiny.ask(prompt)).toBeUndefined()
  expect(tiny.told.map(([name]) => name)).toEqual(['called', 'unreadable'])
  const [call, ...more] = await tiny.calls()
  expect(more).toEqual([])
  expect(call).toMatchObject({ outcome: 'unreadable', costUsd: 0 })
  expect(call!.tokensIn).toBeGreaterThan(0)
  expect(call!.tokensOut).toBeGreaterThan(0)
  await tiny.close()
})

test('a question that is longer than what a local model takes is cut to fit, one call each, and opens no circuit', async () => {
  const tiny = await openTiny()
  // A token for each letter: 4,800 characters of excerpts are more than 2,400 tokens.
  const page = { title: 'Sourdough', excerpt: 'a b '.repeat(150) }
  for (let k = 0; k < 10; k++) {
    await tiny.ask(buildPrompt({ pages: Array(8).fill(page), keyphrases: [`bread ${k}`], vocabulary: [], tags: 3 }))
  }
  const calls = await tiny.calls()
  expect(calls.map(({ outcome }) => outcome)).toEqual(Array(10).fill('unreadable'))
  for (const { tokensIn } of calls) {
    // Room for an answer of LLM_MAX_ANSWER_TOKENS is left, and not much more is cut than has to be.
    expect(tokensIn).toBeLessThanOrEqual(2048 - 400)
    expect(tokensIn).toBeGreaterThan(800)
  }
  expect(tiny.told.filter(([name]) => name === 'failed')).toEqual([])
  await tiny.close()
})

test('an endpoint and a local model together are refused', async () => {
  const both = { LLM_LOCAL_MODEL: '/nowhere', LLM_ENDPOINT: 'http://127.0.0.1:9/v1', LLM_MODEL: 'm' }
  const deps = await openTestDeps('tagger', environment, both)
  await expect(openLanguageModel(deps)).rejects.toThrow(/both set, expected one/u)
  await deps.close()
})
