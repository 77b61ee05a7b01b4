import { randomUUID } from 'node:crypto'
import { events, type OutgoingMessage, toMessage } from '@tagloom/contracts'
import type { FastifyRequest } from 'fastify'

/**
 * Tells the taggers and propagators that what they remember of the wiki's tags is stale. Each change has a revision of its own: the stream
 * drops a second message of one revision, and neither the id of a decision (one that is changed keeps it) nor the id of a request (which
 * the caller may choose) differs for each.
 */
export const vocabularyChanged = (request: FastifyRequest, wikiId: number, reason: string): OutgoingMessage =>
  toMessage(
    events.vocabularyChanged,
    { wiki_id: wikiId, revision: randomUUID(), reason },
    { source: 'gateway', requestId: request.id, traceparent: request.traceparent },
  )
