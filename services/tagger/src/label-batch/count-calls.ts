import type { CounterName } from '@tagloom/contracts'
import type { LlmCall } from '@tagloom/database'
import type { JobMetrics } from '@tagloom/service-kit'

/** Counts calls of a language model as the record has them. One that was broken off is a failure: it was made and gave nothing. */
export function countCalls(metrics: JobMetrics, calls: readonly LlmCall[]): void {
  for (const { outcome, latencyMs, tokensIn, tokensOut, costUsd } of calls) {
    metrics.increment('llm_calls')
    const error = errors[outcome ?? 'failed']
    if (error) metrics.increment(error)
    if (latencyMs !== null) metrics.observe('llm_latency_ms', latencyMs)
    metrics.increment('llm_tokens_in', tokensIn)
    metrics.increment('llm_tokens_out', tokensOut)
    metrics.increment('llm_cost_usd', costUsd)
  }
}

const errors: Record<NonNullable<LlmCall['outcome']>, CounterName | undefined> = {
  read: undefined,
  unreadable: 'parsing_errors',
  failed: 'llm_failures',
  'timed out': 'llm_timeouts',
}
