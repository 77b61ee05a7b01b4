import { events, type OutgoingMessage, toMessage } from '@tagloom/contracts'
import type { FastifyRequest } from 'fastify'

/** Tells the taggers and propagators that what they remember of the wiki's tags is stale. */
export const vocabularyChanged = (
  request: FastifyRequest,
  wikiId: number,
  revision: string,
  reason: string,
): OutgoingMessage =>
  toMessage(
    events.vocabularyChanged,
    { wiki_id: wikiId, revision, reason },
    { source: 'gateway', requestId: request.id, traceparent: request.traceparent },
  )
