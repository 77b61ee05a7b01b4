import type { Bus } from '@tagloom/bus'
import type { EventDeclaration } from '@tagloom/contracts'
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'

/**
 * Tells of each of these events while the app is ready. Every replica follows for itself, because each has something of its own to
 * change by it; nothing is acknowledged, and what came before the start is not told.
 */
export function followEvents<E extends EventDeclaration>(
  app: FastifyInstance,
  bus: Pick<Bus, 'follow'>,
  event: E,
  onEvent: (data: Static<E['schema']>) => void,
): void {
  const stopping = new AbortController()
  app.addHook('onReady', async () => {
    const follow = async () => {
      for await (const { envelope } of bus.follow({ subjects: [event.filter], signal: stopping.signal })) {
        onEvent(envelope.data as Static<E['schema']>)
      }
    }
    void follow()
  })
  app.addHook('preClose', async () => stopping.abort())
}
