import type { OwnServer } from './managed-server.ts'

export interface KeepUpOptions {
  /** "PostgreSQL": for the person who reads */
  readonly name: string
  readonly say: (line: string) => void
  /** Aborted before the server is stopped on purpose. */
  readonly signal: AbortSignal
  /** A server that ran for this long was healthy: the count of restarts begins anew. */
  readonly healthyAfterMs?: number
}

const MOST_RESTARTS = 5
const HEALTHY_AFTER_MS = 30_000

/**
 * Starts a server again whenever it ends unasked, at its address and with its data, so that whoever uses it only waits.
 * Resolves once the signal is aborted.
 * @throws Error when it ends again and again, or does not start
 */
export async function keepUp(server: OwnServer, options: KeepUpOptions): Promise<void> {
  const { name, say, signal, healthyAfterMs = HEALTHY_AFTER_MS } = options
  for (let restarts = 0; ; ) {
    const began = Date.now()
    await server.whenExited()
    if (signal.aborted) return
    if (Date.now() - began >= healthyAfterMs) restarts = 0
    if (++restarts > MOST_RESTARTS) throw new Error(`${name} ended ${restarts} times: its log lies in its folder`)
    say(`${name} ended; starting it again`)
    await server.start()
  }
}
