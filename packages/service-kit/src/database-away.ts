import type { Database } from '@tagloom/database'

/** SQLSTATE class 08 (connection), 57P01–57P03 (shut down, crashed, starting) and what sockets report */
const awayCodes =
  /^(08\d{3}|57P0[123]|53300|database_unavailable|ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)$/
const awayMessages =
  /connection terminated|client has encountered a connection error|timeout exceeded when trying to connect/i

/** Whether the error says that the database server is away, rather than that it refused something. */
export function isDatabaseAway(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth++) {
    const code = (at as { code?: unknown }).code
    if ((typeof code === 'string' && awayCodes.test(code)) || awayMessages.test(at.message)) return true
  }
  return false
}

/**
 * Resolves when the database answers again.
 * @throws the last error when it has not within `withinMs`, or the signal's reason
 */
export async function untilDatabaseAnswers(db: Database, signal: AbortSignal, withinMs: number): Promise<void> {
  const end = Date.now() + withinMs
  for (let pauseMs = 100; ; pauseMs = Math.min(5_000, pauseMs * 2)) {
    signal.throwIfAborted()
    try {
      return await db.ping()
    } catch (error) {
      if (Date.now() + pauseMs > end) throw error
    }
    await pause(pauseMs, signal)
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}
