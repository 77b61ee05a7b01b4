import type { Database } from '@tagloom/database'
import { captureLog } from '@tagloom/service-kit/testing'
import { expect, it } from 'vitest'
import type { Config } from '../config.ts'
import { openLanguageModel } from './open-language-model.ts'

const config = { LLM_PRICES: '{}', LLM_LOCAL_MODEL: '', LLM_MODEL: 'm', LLM_API_KEY: '' }
const open = (more: Partial<Config>) =>
  openLanguageModel({
    db: {} as Database,
    config: { ...config, ...more } as Config,
    log: captureLog(),
    stillStarting() {},
  })

it.each([
  [{ LLM_ENDPOINT: 'http://user:hunter2@127.0.0.1:9/v1' }, 'LLM_ENDPOINT has a name or password in it'],
  [{ LLM_ENDPOINT: 'http://127.0.0.1:9/v1', LLM_API_KEY: 'hunter2\nhunter2' }, 'LLM_API_KEY has spaces, line ends'],
  [{ LLM_ENDPOINT: 'http://127.0.0.1:9/v1', LLM_API_KEY: '“hunter2”' }, 'LLM_API_KEY has spaces, line ends'],
])('refuses secrets that cannot be sent, and does not tell them', async (variables, reason) => {
  const refused = open(variables)
  await expect(refused).rejects.toThrow(reason)
  await expect(refused).rejects.not.toThrow('hunter2')
})

it('takes a key as files hold it, with a line end', async () => {
  const { languageModel } = await open({ LLM_ENDPOINT: 'http://127.0.0.1:9/v1', LLM_API_KEY: 'sk-1\n' })
  expect(languageModel?.name).toBe('m')
})
