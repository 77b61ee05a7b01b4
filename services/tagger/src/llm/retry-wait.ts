import type { LlmCallFailed } from './chat-model.ts'

interface Waits {
  readonly backoffMs: number
  readonly maxRetryAfterMs: number
}

/** Time to wait before the next try, ms; undefined when there is to be none. */
export function waitAfter(
  error: LlmCallFailed,
  attempt: number,
  { backoffMs, maxRetryAfterMs }: Waits,
): number | undefined {
  if (!error.retryable) return undefined
  if (error.adapted) return 0
  const jittered = backoffMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2)
  if (error.retryAfterMs === undefined) return jittered
  return error.retryAfterMs > maxRetryAfterMs ? undefined : Math.max(error.retryAfterMs, jittered)
}
