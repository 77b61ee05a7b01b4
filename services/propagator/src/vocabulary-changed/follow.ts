import type { Bus } from '@tagloom/bus'
import { events } from '@tagloom/contracts'
import type { FastifyInstance } from 'fastify'

/** Tells of each change of a wiki's vocabulary. Every replica follows for itself: each has a cache of its own to drop. */
export function followVocabulary(
  app: FastifyInstance,
  bus: Pick<Bus, 'follow'>,
  onChange: (wikiId: number) => void,
): void {
  const stopping = new AbortController()
  app.addHook('onReady', async () => {
    const follow = async () => {
      const subjects = [events.vocabularyChanged.filter]
      for await (const { envelope } of bus.follow({ subjects, signal: stopping.signal })) {
        onChange((envelope.data as { wiki_id: number }).wiki_id)
      }
    }
    void follow()
  })
  app.addHook('preClose', async () => stopping.abort())
}
