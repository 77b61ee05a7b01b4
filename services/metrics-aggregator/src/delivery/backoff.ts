/** A receiver has this long to take an alert. */
export const giveUpAfterMs = 24 * 3_600_000
const firstDelayMs = 2_000
const longestDelayMs = 15 * 60_000
const longestRetryAfterMs = 3_600_000

/**
 * How long to wait after a failed try, or `undefined` when the day is over. Doubles from 2 s to 15 min, so that a receiver that was
 * down for half an hour hears of it at most 15 minutes after it is back; spread by up to a quarter, so that a flood does not come back at once.
 * @param attempts tries so far, at least 1
 * @param random in [0, 1)
 */
export function nextDelayMs(
  attempts: number,
  ageMs: number,
  retryAfterMs: number | undefined,
  random: number,
): number | undefined {
  const doubled = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(attempts - 1, 20))
  const asked = Math.min(retryAfterMs ?? 0, longestRetryAfterMs)
  const delay = Math.round(Math.max(asked, doubled * (1 - random / 4)))
  return ageMs + delay > giveUpAfterMs ? undefined : delay
}

/** Retry-After as milliseconds: seconds or an HTTP date. */
export function retryAfterMs(header: string | undefined, now: Date): number | undefined {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const until = Date.parse(header)
  return Number.isNaN(until) ? undefined : Math.max(0, until - now.getTime())
}
