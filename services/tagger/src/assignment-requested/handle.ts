import type { Message } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import {
  endAssignment,
  listAssignmentPagesToEmbed,
  readAssignment,
  readPagesToEmbed,
  saveEmbeddings,
} from '@tagloom/database'
import type { EmbedDeps } from '../embed-deps.ts'
import { embeddingsOf } from '../embeddings-of.ts'
import { planEmbedBatches } from '../job-requested/plan-batches.ts'

/**
 * Embeds what an assignment has of pages without a vector, and says so. Vectors are stored a batch at a time: a second delivery embeds what
 * is left, and says the same again, which the clusterer knows by the assignment's state.
 */
export async function handleAssignmentRequested(
  message: Message<typeof events.assignmentRequested>,
  deps: EmbedDeps,
): Promise<void> {
  const { wiki_id, assignment_id } = message.data
  const { db, embedder, relay, context, log } = deps
  const assignment = await readAssignment(db, assignment_id)
  if (assignment?.status !== 'waiting') return
  if (assignment.model !== embedder.modelId) {
    const reason = `run ${assignment.jobId} was made with the model ${assignment.model}, this tagger has ${embedder.modelId}: start a job`
    await relay.commit((tx) => endAssignment(tx, assignment_id, reason))
    return log.event('assignment_failed', { assignment_id, reason })
  }
  for (const batch of planEmbedBatches(await listAssignmentPagesToEmbed(db, assignment_id, embedder.modelId))) {
    const pages = await readPagesToEmbed(db, batch.page_ids, embedder.modelId)
    const made = await embedder.embedPages(pages, message.signal)
    const embeddings = embeddingsOf(pages, made, embedder.dims)
    await db.transaction((tx) => saveEmbeddings(tx, embedder.modelId, embedder.dims, embeddings))
  }
  await relay.commit(async (_, owe) => owe(toMessage(events.assignmentEmbedded, { wiki_id, assignment_id }, context)))
}
