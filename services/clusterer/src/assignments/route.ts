import { type Database, readVectorsByExternalId, readWiki } from '@tagloom/database'
import { assignPages } from '@tagloom/kernels'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import type { CentroidsCache } from './centroids-cache.ts'

const Params = Type.Object({ wiki_id: Type.Integer({ minimum: 1 }) })
const Body = Type.Object(
  { pages: Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: 1_000 }) },
  { additionalProperties: false },
)

/**
 * `POST /wikis/:wiki_id/assignments`: gives embedded pages to the topics of the wiki's current run, without a run. A page that no
 * topic takes has `cluster` null; `drift` from 2 on says that a run is due.
 */
export function assignmentRoute(app: FastifyInstance, db: Database, cache: CentroidsCache): void {
  app.post<{ Params: Static<typeof Params>; Body: Static<typeof Body> }>(
    '/wikis/:wiki_id/assignments',
    { schema: { params: Params, body: Body } },
    async (request, reply) => {
      const wikiId = request.params.wiki_id
      const jobId = (await readWiki(db, wikiId))?.currentJobId
      if (!jobId) return reply.code(404).send({ reason: `wiki ${wikiId} is not there or has no run: start a job` })
      const run = await cache.of(jobId)
      const vectors = await readVectorsByExternalId(db, wikiId, run.model, request.body.pages)
      const ids = [...vectors.keys()]
      const { clusters, similarities, drift } = assignPages(unitRows([...vectors.values()], run.dims), run.dims, run)
      return {
        job_id: jobId,
        drift,
        pages: ids.map((id, i) => ({
          id,
          cluster: run.numbers[clusters[i]!] ?? null,
          lineage_id: run.lineageIds[clusters[i]!] ?? null,
          similarity: similarities[i]!,
        })),
        not_embedded: request.body.pages.filter((id) => !vectors.has(id)),
      }
    },
  )
}

/** A run without clusters has no width: then there is nothing to be near to. */
function unitRows(vectors: readonly Float32Array[], dims: number): Float32Array {
  const rows = new Float32Array(vectors.length * Math.max(1, dims))
  for (const [i, vector] of vectors.entries()) {
    const length = Math.hypot(...vector)
    for (let j = 0; j < dims; j++) rows[i * dims + j] = length === 0 ? 0 : vector[j]! / length
  }
  return rows
}
