import { testPrefix, useServers } from '@tagloom/local-servers/testing'
import { type Bus, type BusOptions, connectBus } from './bus.ts'

/** A bus with streams of the test file's own. */
export async function openTestBus(
  options: Partial<BusOptions> = {},
): Promise<Bus & { readonly prefix: string; readonly url: string }> {
  const { natsUrl } = await useServers()
  const prefix = options.prefix ?? testPrefix()
  const url = options.url ?? natsUrl
  return { ...(await connectBus({ name: 'test', ...options, url, prefix })), prefix, url }
}

/** Resolves when nothing waits and nothing is in flight, for every durable consumer. */
export async function whenDrained(bus: Bus, timeoutMs = 20_000): Promise<void> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const backlog = await bus.backlog()
    if (backlog.every((row) => row.pending === 0 && row.inFlight === 0)) return
    if (Date.now() > end) throw new Error(`not drained after ${timeoutMs} ms: ${JSON.stringify(backlog)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
