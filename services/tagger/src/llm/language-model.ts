import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import {
  beginLlmCall,
  type Database,
  endLlmCall,
  type LlmCallEnd,
  readLlmReply,
  readLlmSpending,
} from '@tagloom/database'
import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
} from 'cockatiel'
import { type ChatModel, type ChatPrompt, LlmCallFailed } from './chat-model.ts'
import { replySchema } from './parse-reply.ts'
import { costUsd, type Price } from './prices.ts'
import { type Read, readAnswer } from './read-answer.ts'
import { waitAfter } from './retry-wait.ts'
import { CallSlots, type HeldSlot } from './slots.ts'

/*
 * Labels of one cluster from a language model. In this order: an earlier reply to the same question costs nothing; a spent budget or an
 * open circuit ends it; then calls, each in a slot shared by all replicas, until one is read, `maxAttempts` are used, or trying again
 * cannot help. While a server asks to wait (Retry-After) no question of this process is asked. Whatever happens there is an outcome: labels, or `undefined` and the cluster gets its keyphrases.
 */

export interface LanguageModelOptions {
  readonly model: ChatModel
  readonly maxAttempts: number
  readonly backoffMs: number
  readonly maxRetryAfterMs: number
  readonly parallelCalls: number
  readonly maxAnswerTokens: number
  readonly price: Price | undefined
}

interface Budget {
  readonly tokens: number | undefined
  readonly usd: number | undefined
}

/** Told of what happens; what is counted is in the database, call by call. Each call is told once, by `called`, and once more when it went wrong. */
export interface LabelObserver {
  called(latencyMs: number): void
  timedOut(attempt: number, timeoutMs: number): void
  failed(attempt: number, code: string, reason: string): void
  unreadable(attempt: number, reason: string): void
  budgetSpent(tokens: number, costUsd: number, reason: 'used up' | 'no price'): void
}

export interface Question {
  readonly jobId: string
  /** Of the label stage, by which its calls are counted */
  readonly batch: number
  readonly prompt: ChatPrompt
  readonly budget: Budget
}

/** After this many calls in a row without an answer no more are made for a while. */
const BREAKS_AFTER = 8
const HALF_OPEN_AFTER_MS = 30_000

class BudgetSpent extends Error {}

/** The server asked for a pause while this call waited for its slot. */
class Resting extends Error {}

export class LanguageModel {
  #db: Database
  #options: LanguageModelOptions
  #slots: CallSlots
  #breaker: CircuitBreakerPolicy
  /** Of a prompt's length that the server takes, as far as it has told */
  #share = 1
  /** When the server may be asked again, by performance.now() */
  #restsUntil = 0

  constructor(db: Database, options: LanguageModelOptions) {
    this.#db = db
    this.#options = options
    this.#slots = new CallSlots(db, options.parallelCalls)
    // A call that was cancelled tells nothing of the server: it breaks nothing, and must not close what is half open. A server that wants to
    // be asked in another way, or less, is there.
    const speaksAgainst = handleWhen((error) =>
      error instanceof LlmCallFailed ? !error.adapted : this.#breaker.state === CircuitState.HalfOpen,
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
    const known = await readLlmReply(this.#db, this.#hashOf(question.prompt))
    if (known !== undefined) return known as string[]
    let most = this.#options.maxAttempts
    for (let attempt = 1; attempt <= most; attempt++) {
      const outcome = await this.#attempt(question, attempt, observer, signal)
      if ('labels' in outcome) return outcome.labels
      // A server refuses each parameter once: that is no failed attempt to get an answer, and has its end.
      if (outcome.adapted) most++
      if (outcome.waitMs === undefined || attempt === most) return undefined
      await wait(outcome.waitMs, undefined, { signal })
    }
    return undefined
  }

  async #attempt(
    question: Question,
    attempt: number,
    observer: LabelObserver,
    signal: AbortSignal,
  ): Promise<{ labels: string[] } | { waitMs: number | undefined; adapted?: boolean }> {
    try {
      const read = await this.#call(question, observer, signal)
      if ('labels' in read) return read
      const cut = `; cut off at ${this.#options.maxAnswerTokens} tokens: raise LLM_MAX_ANSWER_TOKENS for a model that thinks first`
      observer.unreadable(attempt, read.cutOff ? read.unreadable + cut : read.unreadable)
      return { waitMs: undefined }
    } catch (error) {
      if (error instanceof BrokenCircuitError || error instanceof BudgetSpent) return { waitMs: undefined }
      if (!(error instanceof LlmCallFailed)) throw error
      if (error.kind === 'timeout') observer.timedOut(attempt, this.#options.model.timeoutMs)
      else observer.failed(attempt, error.code, error.message)
      return { waitMs: waitAfter(error, attempt, this.#options), adapted: error.adapted }
    }
  }

  async #call(question: Question, observer: LabelObserver, signal: AbortSignal): Promise<Read> {
    const { model } = this.#options
    for (;;) {
      const restMs = this.#restsUntil - performance.now()
      if (restMs > 0) await wait(restMs, undefined, { signal })
      const endTurn = await model.turn?.(signal)
      try {
        return await this.#slots.within(model.timeoutMs, signal, (slot) =>
          this.#callIn(slot, question, observer, signal),
        )
      } catch (error) {
        if (!(error instanceof Resting)) throw error
      } finally {
        endTurn?.()
      }
    }
  }

  async #callIn(slot: HeldSlot, question: Question, observer: LabelObserver, signal: AbortSignal): Promise<Read> {
    if (this.#restsUntil > performance.now()) throw new Resting()
    // Looked at with a slot in hand, so that a budget is overrun by what is in progress at most.
    if (await this.#isSpent(question, observer)) throw new BudgetSpent()
    try {
      return await this.#breaker.execute(async () => {
        // Whoever waited for the one call of a circuit that is half open held the slot as long as a call takes.
        await slot.renew()
        return await this.#chat(question, observer, signal)
      })
    } catch (error) {
      if (error instanceof LlmCallFailed) this.#rest(error.retryAfterMs)
      throw error
    }
  }

  /** One call, noted before it is made and when it ended; one that is broken off stays noted as begun. */
  async #chat(question: Question, observer: LabelObserver, signal: AbortSignal): Promise<Read> {
    const { model, maxAnswerTokens: maxTokens } = this.#options
    const { prompt } = question
    const share = this.#share
    const messages = (share < 1 ? prompt.shortened(share) : undefined) ?? prompt.messages
    const call = { id: await beginLlmCall(this.#db, question), began: performance.now(), observer }
    try {
      const answer = await model.chat({ ...prompt, messages, schema: replySchema, maxTokens }, signal)
      const read = readAnswer(answer)
      if ('labels' in read) {
        const reply = { requestHash: this.#hashOf(prompt), labels: read.labels }
        await this.#end(call, { outcome: 'read', ...answer, reply })
      } else await this.#end(call, { outcome: 'unreadable', ...answer })
      return read
    } catch (error) {
      if (error instanceof LlmCallFailed) {
        const { tokensIn, tokensOut } = error.spent ?? { tokensIn: 0, tokensOut: 0 }
        await this.#end(call, { outcome: error.kind === 'timeout' ? 'timed out' : 'failed', tokensIn, tokensOut })
        if (error.tooLong) throw this.#shorten(prompt, share, error)
      }
      throw error
    }
  }

  /** From now on half of what was sent is asked, where that is a question. @returns what the refused call failed with, by that */
  #shorten(prompt: ChatPrompt, share: number, error: LlmCallFailed): LlmCallFailed {
    if (prompt.shortened(share / 2) === undefined)
      return new LlmCallFailed({ kind: 'failure', code: error.code, retryable: false }, error.message, { cause: error })
    // Several that were sent in one length are refused at once.
    this.#share = Math.min(this.#share, share / 2)
    return error
  }

  async #end(
    { id, began, observer }: { id: number; began: number; observer: LabelObserver },
    of: Pick<LlmCallEnd, 'outcome' | 'tokensIn' | 'tokensOut' | 'reply'>,
  ): Promise<void> {
    const latencyMs = performance.now() - began
    observer.called(latencyMs)
    await endLlmCall(this.#db, id, {
      ...of,
      latencyMs,
      costUsd: costUsd(this.#options.price, of.tokensIn, of.tokensOut),
    })
  }

  #rest(ms: number | undefined): void {
    if (ms === undefined || ms > this.#options.maxRetryAfterMs) return
    this.#restsUntil = Math.max(this.#restsUntil, performance.now() + ms)
  }

  async #isSpent({ jobId, budget }: Question, observer: LabelObserver): Promise<boolean> {
    if (budget.tokens === undefined && budget.usd === undefined) return false
    // What has no price would never use up the budget, and the bill would tell of it.
    if (budget.usd !== undefined && this.#options.price === undefined && !this.#options.model.free) {
      observer.budgetSpent(0, 0, 'no price')
      return true
    }
    const { tokens, costUsd: usd } = await readLlmSpending(this.#db, jobId)
    const spent =
      (budget.tokens !== undefined && tokens >= budget.tokens) || (budget.usd !== undefined && usd >= budget.usd)
    if (spent) observer.budgetSpent(tokens, usd, 'used up')
    return spent
  }

  #hashOf({ messages }: ChatPrompt): string {
    return createHash('sha256')
      .update(JSON.stringify([...this.#options.model.identity, messages]))
      .digest('hex')
  }
}
