import type { Database } from '@tagloom/database'
import type { Config } from '../config.ts'
import { LanguageModel } from './language-model.ts'
import { parsePrices } from './prices.ts'

/** The language model as the environment asks for it; undefined without LLM_ENDPOINT. @throws Error that names the variable */
export function openLanguageModel(db: Database, config: Config): LanguageModel | undefined {
  const prices = parsePrices(config.LLM_PRICES)
  if (config.LLM_ENDPOINT === '') return undefined
  if (!/^https?:\/\//.test(config.LLM_ENDPOINT) || !URL.canParse(config.LLM_ENDPOINT)) {
    throw new Error(`LLM_ENDPOINT is "${config.LLM_ENDPOINT}", expected an address like http://127.0.0.1:11434/v1`)
  }
  if (config.LLM_MODEL === '') throw new Error('LLM_MODEL is empty, expected the name of a model of LLM_ENDPOINT')
  return new LanguageModel(db, {
    server: {
      endpoint: config.LLM_ENDPOINT,
      model: config.LLM_MODEL,
      apiKey: config.LLM_API_KEY,
      timeoutMs: config.LLM_TIMEOUT_MS,
    },
    maxAttempts: config.LLM_MAX_ATTEMPTS,
    backoffMs: config.LLM_BACKOFF_MS,
    maxRetryAfterMs: config.LLM_MAX_RETRY_AFTER_MS,
    parallelCalls: config.MAX_PARALLEL_LLM_CALLS,
    price: prices.get(config.LLM_MODEL),
  })
}
