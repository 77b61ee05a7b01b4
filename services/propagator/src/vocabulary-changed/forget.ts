import type { Bus } from '@tagloom/bus'
import { events } from '@tagloom/contracts'
import { followEvents } from '@tagloom/service-kit'
import type { FastifyInstance } from 'fastify'
import type { JobTagsCache } from '../propagate-batch/job-tags.ts'

/** What was read of a wiki's tags is dropped when they change. */
export const forgetOnChange = (app: FastifyInstance, bus: Pick<Bus, 'follow'>, jobTags: JobTagsCache): void =>
  followEvents(app, bus, events.vocabularyChanged, ({ wiki_id }) => jobTags.forget(wiki_id))
