import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { addLlmSpending, type Database, readLlmReply, readLlmSpending, saveLlmReply } from '@tagloom/database'
import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
} from 'cockatiel'
import { type ChatAnswer, type ChatMessage, type ChatModel, LlmCallFailed, SCHEMA_REFUSED } from './chat-client.ts'
import { parseReply, replySchema, UnreadableReply } from './parse-reply.ts'
import { costUsd, type Price } from './prices.ts'
import { CallSlots } from './slots.ts'

/*
 * Labels of one cluster from a language model. In this order: an earlier reply to the same question costs nothing; a spent budget or an
 * open circuit ends it; then calls, each in a slot shared by all replicas, until one is read, `maxAttempts` are used, or trying again
 * cannot help. Whatever happens there is an outcome: labels, or `undefined` and the cluster gets its keyphrases.
 */

export interface LanguageModelOptions {
  readonly model: ChatModel
  readonly maxAttempts: number
  readonly backoffMs: number
  readonly maxRetryAfterMs: number
  readonly parallelCalls: number
  readonly price: Price | undefined
}

interface Budget {
  readonly tokens: number | undefined
  readonly usd: number | undefined
}

/** Told of everything that is counted. Each call is told once, by `called`, and at most once more by what went wrong with it. */
export interface LabelObserver {
  called(latencyMs: number): void
  timedOut(attempt: number, timeoutMs: number): void
  failed(attempt: number, code: string, reason: string): void
  unreadable(attempt: number, reason: string): void
  spent(tokensIn: number, tokensOut: number, costUsd: number): void
  budgetSpent(tokens: number, costUsd: number): void
  cached(): void
}

export interface Question {
  readonly jobId: string
  readonly messages: readonly ChatMessage[]
  readonly budget: Budget
}

const MAX_ANSWER_TOKENS = 400
/** After this many calls in a row without an answer no more are made for a while. */
const BREAKS_AFTER = 8
const HALF_OPEN_AFTER_MS = 30_000

class BudgetSpent extends Error {}

export class LanguageModel {
  #db: Database
  #options: LanguageModelOptions
  #slots: CallSlots
  #breaker: CircuitBreakerPolicy
  /** Servers without structured output refuse the schema; from then on it is left out. */
  #schemaRefused = false

  constructor(db: Database, options: LanguageModelOptions) {
    this.#db = db
    this.#options = options
    this.#slots = new CallSlots(db, options.parallelCalls)
    // A call that was cancelled tells nothing of the server: it breaks nothing, and must not close what is half open.
    const speaksAgainst = handleWhen(
      (error) => error instanceof LlmCallFailed || this.#breaker.state === CircuitState.HalfOpen,
    )
    this.#breaker = circuitBreaker(speaksAgainst, {
      halfOpenAfter: HALF_OPEN_AFTER_MS,
      breaker: new ConsecutiveBreaker(BREAKS_AFTER),
    })
  }

  /** As records tell it */
  get name(): string {
    return this.#options.model.identity.at(-1)!
  }

  /** @returns labels, or undefined when the model gave none that can be used @throws only the signal's reason, or a database error */
  async labels(question: Question, observer: LabelObserver, signal: AbortSignal): Promise<string[] | undefined> {
    const hash = this.#hashOf(question.messages)
    const known = await readLlmReply(this.#db, hash)
    if (known !== undefined) {
      observer.cached()
      return known as string[]
    }
    for (let attempt = 1; attempt <= this.#options.maxAttempts; attempt++) {
      const outcome = await this.#attempt(question, attempt, observer, signal)
      if ('labels' in outcome) {
        await saveLlmReply(this.#db, hash, outcome.labels)
        return outcome.labels
      }
      if (outcome.waitMs === undefined || attempt === this.#options.maxAttempts) return undefined
      await wait(outcome.waitMs, undefined, { signal })
    }
    return undefined
  }

  async #attempt(
    question: Question,
    attempt: number,
    observer: LabelObserver,
    signal: AbortSignal,
  ): Promise<{ labels: string[] } | { waitMs: number | undefined }> {
    try {
      const answer = await this.#call(question, observer, signal)
      return { labels: parseReply(answer.content) }
    } catch (error) {
      if (error instanceof UnreadableReply) {
        observer.unreadable(attempt, error.message)
        return { waitMs: undefined }
      }
      if (error instanceof BrokenCircuitError || error instanceof BudgetSpent) return { waitMs: undefined }
      if (!(error instanceof LlmCallFailed)) throw error
      if (error.kind === 'timeout') observer.timedOut(attempt, this.#options.model.timeoutMs)
      else observer.failed(attempt, error.code, error.message)
      return { waitMs: this.#waitAfter(error, attempt) }
    }
  }

  async #call(question: Question, observer: LabelObserver, signal: AbortSignal): Promise<ChatAnswer> {
    const { model } = this.#options
    const withSchema = !this.#schemaRefused
    const request = {
      messages: question.messages,
      schema: withSchema ? replySchema : undefined,
      maxTokens: MAX_ANSWER_TOKENS,
    }
    const endTurn = await model.turn?.(signal)
    return this.#slots
      .within(model.timeoutMs, signal, async () => {
        // Looked at with a slot in hand, so that a budget is overrun by what is in progress at most.
        if (await this.#isSpent(question, observer)) throw new BudgetSpent()
        const given = await this.#breaker.execute(async () => {
          const began = performance.now()
          try {
            return await model.chat(request, signal)
          } finally {
            observer.called(performance.now() - began)
          }
        })
        await this.#spend(given, question.jobId, observer)
        return given
      })
      .catch((error) => {
        if (error instanceof LlmCallFailed && error.code === SCHEMA_REFUSED) this.#schemaRefused = true
        throw error
      })
      .finally(endTurn)
  }

  async #spend({ tokensIn, tokensOut }: ChatAnswer, jobId: string, observer: LabelObserver): Promise<void> {
    const cost = costUsd(this.#options.price, tokensIn, tokensOut)
    await addLlmSpending(this.#db, jobId, { tokens: tokensIn + tokensOut, costUsd: cost })
    observer.spent(tokensIn, tokensOut, cost)
  }

  /** Time to wait before the next try; undefined when there is to be none. */
  #waitAfter(error: LlmCallFailed, attempt: number): number | undefined {
    const { backoffMs, maxRetryAfterMs } = this.#options
    if (!error.retryable) return undefined
    const jittered = backoffMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2)
    if (error.retryAfterMs === undefined) return jittered
    return error.retryAfterMs > maxRetryAfterMs ? undefined : Math.max(error.retryAfterMs, jittered)
  }

  async #isSpent({ jobId, budget }: Question, observer: LabelObserver): Promise<boolean> {
    if (budget.tokens === undefined && budget.usd === undefined) return false
    const { tokens, costUsd: usd } = await readLlmSpending(this.#db, jobId)
    const spent =
      (budget.tokens !== undefined && tokens >= budget.tokens) || (budget.usd !== undefined && usd >= budget.usd)
    if (spent) observer.budgetSpent(tokens, usd)
    return spent
  }

  #hashOf(messages: readonly ChatMessage[]): string {
    return createHash('sha256')
      .update(JSON.stringify([...this.#options.model.identity, messages]))
      .digest('hex')
  }
}
