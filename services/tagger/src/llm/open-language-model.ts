import type { Database } from '@tagloom/database'
import { openTextGenerator, type TextGenerator } from '@tagloom/inference'
import { EnvironmentError } from '@tagloom/service-kit'
import type { Config } from '../config.ts'
import { type ModelDeps, modelSource, refusedModel } from '../model-source.ts'
import { serverChat } from './chat-client.ts'
import type { ChatModel } from './chat-model.ts'
import { LanguageModel } from './language-model.ts'
import { localChat } from './local-chat.ts'
import { parsePrices } from './prices.ts'

export interface OpenedLanguageModel {
  /** undefined where the environment names none: jobs get keyphrases */
  readonly languageModel: LanguageModel | undefined
  close(): Promise<void>
}

/** The language model as the environment asks for it: at an endpoint, or in this process. @throws Error that names the variable */
export async function openLanguageModel(deps: ModelDeps & { readonly db: Database }): Promise<OpenedLanguageModel> {
  const { config, db } = deps
  const prices = parsePrices(config.LLM_PRICES)
  if (config.LLM_ENDPOINT !== '' && config.LLM_LOCAL_MODEL !== '') {
    throw new EnvironmentError('LLM_ENDPOINT and LLM_LOCAL_MODEL are both set, expected one of them')
  }
  const generator = config.LLM_LOCAL_MODEL === '' ? undefined : await openGenerator(deps)
  const model = generator ? localChat(generator, config.LLM_TIMEOUT_MS) : chatAtEndpoint(config)
  const languageModel =
    model &&
    new LanguageModel(db, {
      model,
      maxAttempts: config.LLM_MAX_ATTEMPTS,
      backoffMs: config.LLM_BACKOFF_MS,
      maxRetryAfterMs: config.LLM_MAX_RETRY_AFTER_MS,
      maxAnswerTokens: config.LLM_MAX_ANSWER_TOKENS,
      parallelCalls: config.MAX_PARALLEL_LLM_CALLS,
      price: generator ? undefined : prices.get(config.LLM_MODEL),
    })
  return { languageModel, close: async () => generator?.close() }
}

function chatAtEndpoint(config: Config): ChatModel | undefined {
  if (config.LLM_ENDPOINT === '') return undefined
  checkSecrets(config)
  if (!/^https?:\/\//.test(config.LLM_ENDPOINT) || !URL.canParse(config.LLM_ENDPOINT)) {
    throw new EnvironmentError(
      `LLM_ENDPOINT is "${config.LLM_ENDPOINT}", expected an address like http://127.0.0.1:11434/v1`,
    )
  }
  if (config.LLM_MODEL === '')
    throw new EnvironmentError('LLM_MODEL is empty, expected the name of a model of LLM_ENDPOINT')
  return serverChat({
    endpoint: config.LLM_ENDPOINT,
    model: config.LLM_MODEL,
    apiKey: config.LLM_API_KEY.trim(),
    timeoutMs: config.LLM_TIMEOUT_MS,
  })
}

/** What cannot be sent would be told in every error of a call, and stand in the log. */
function checkSecrets({ LLM_ENDPOINT, LLM_API_KEY }: Config): void {
  const { username, password } = URL.parse(LLM_ENDPOINT) ?? { username: '', password: '' }
  if (username !== '' || password !== '')
    throw new EnvironmentError('LLM_ENDPOINT has a name or password in it, expected the key in LLM_API_KEY')
  if (!/^[\x21-\x7e]*$/.test(LLM_API_KEY.trim()))
    throw new EnvironmentError('LLM_API_KEY has spaces, line ends or letters beyond ASCII, expected a key as one word')
}

const openGenerator = (deps: ModelDeps): Promise<TextGenerator> =>
  openTextGenerator({
    model: deps.config.LLM_LOCAL_MODEL,
    ...(deps.config.LLM_LOCAL_MODEL_FILE ? { modelFile: deps.config.LLM_LOCAL_MODEL_FILE } : {}),
    ...modelSource(deps),
  }).catch(refusedModel('LLM_LOCAL_MODEL'))
