import {
  Assignment,
  AssignmentParams,
  assignmentLimits,
  Drift,
  events,
  NewAssignment,
  toMessage,
  WikiParams,
} from '@tagloom/contracts'
import {
  type AssignmentRow,
  createAssignment,
  findPageIds,
  readAssignedPages,
  readAssignment,
  tallyAssignments,
  type WikiRow,
} from '@tagloom/database'
import { driftOf } from '@tagloom/kernels'
import { ProblemError } from '../http/problem.ts'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

const tags = ['New pages']

/** Gives pages to the topics of the current run, without a new one: the tagger embeds them, the clusterer compares. */
export const assignmentRoutes: Routes =
  ({ db, relay }) =>
  async (app) => {
    app.post(
      '/api/wikis/:wiki_id/assignments',
      {
        config: { scope: 'write' },
        schema: {
          tags,
          operationId: 'assignPages',
          summary: 'Give new pages to the topics of the current run, without a new run',
          description:
            'Takes the pages that are new or changed since the run, or those that are named. A page that no topic is near enough to is left out.',
          params: WikiParams,
          body: NewAssignment,
          response: { 202: Assignment },
        },
      },
      async (request, reply) => {
        const wiki = await findWiki(db, request.params.wiki_id)
        const jobId = runOf(wiki)
        const pageIds = request.body?.pages && (await idsOf(wiki.id, request.body.pages))
        const id = await relay.commit(async (tx, owe) => {
          const of = { wikiId: wiki.id, jobId, most: assignmentLimits.pages, ...(pageIds ? { pageIds } : {}) }
          const made = await createAssignment(tx, of)
          const context = { source: 'gateway', requestId: request.id, traceparent: request.traceparent }
          if ((await readAssignment(tx, made))?.status === 'waiting')
            owe(toMessage(events.assignmentRequested, { wiki_id: wiki.id, assignment_id: made }, context))
          return made
        })
        reply.code(202).header('location', `/api/wikis/${wiki.id}/assignments/${id}`)
        return answer(wiki.id, id)
      },
    )

    app.get(
      '/api/wikis/:wiki_id/assignments/:assignment_id',
      {
        config: { scope: 'read' },
        schema: {
          tags,
          operationId: 'getAssignment',
          summary: 'What became of the pages of an assignment',
          params: AssignmentParams,
          response: { 200: Assignment },
        },
      },
      ({ params }) => answer(params.wiki_id, params.assignment_id),
    )

    app.get(
      '/api/wikis/:wiki_id/drift',
      {
        config: { scope: 'read' },
        schema: {
          tags,
          operationId: 'getDrift',
          summary: 'Whether the pages since the current run still fit its topics, or a run is due',
          params: WikiParams,
          response: { 200: Drift },
        },
      },
      async ({ params }) => driftSince(runOf(await findWiki(db, params.wiki_id))),
    )

    async function idsOf(wikiId: number, externalIds: readonly string[]): Promise<number[]> {
      const found = await findPageIds(db, wikiId, externalIds)
      const missing = externalIds.filter((id) => !found.has(id))
      if (missing.length > 0) {
        const more = missing.length > 1 ? `, nor ${missing.length - 1} others that were named` : ''
        throw new ProblemError('page_not_found', `Wiki ${wikiId} has no page "${missing[0]}"${more}: import it first`)
      }
      return [...new Set(found.values())]
    }

    async function answer(wikiId: number, id: string): Promise<Assignment> {
      const row = await readAssignment(db, id)
      if (row?.wikiId !== wikiId)
        throw new ProblemError('assignment_not_found', `Wiki ${wikiId} has no assignment ${id}`)
      const [pages, drift] = await Promise.all([readAssignedPages(db, id), driftSince(row.jobId)])
      return { ...toAssignment(row), pages: pages.map(toPage), drift }
    }

    async function driftSince(jobId: string): Promise<Drift> {
      const tally = await tallyAssignments(db, jobId)
      const expectedShare = tally?.expectedShare ?? 0
      const { pages, leftOut } = { pages: tally?.pages ?? 0, leftOut: tally?.leftOut ?? 0 }
      const { drift, rerunDue } = driftOf({ pages, leftOut, expectedShare })
      return {
        job_id: jobId,
        pages,
        left_out: leftOut,
        expected_percentage: 100 * expectedShare,
        drift,
        rerun_due: rerunDue,
        advice: adviceOf(pages, leftOut, rerunDue),
      }
    }
  }

function runOf(wiki: WikiRow): string {
  if (wiki.currentJobId === null)
    throw new ProblemError(
      'wiki_without_run',
      `Wiki ${wiki.id} has no topics yet: POST /api/wikis/${wiki.id}/jobs first`,
    )
  return wiki.currentJobId
}

function adviceOf(pages: number, leftOut: number, rerunDue: boolean): string {
  if (pages === 0) return 'No page since the run was assigned yet'
  const said = `${leftOut} of ${pages} pages since the run fit none of its topics`
  return rerunDue ? `${said}, more than chance allows: start a job` : `${said}: no run is due`
}

const toAssignment = (row: AssignmentRow) => ({
  id: row.id,
  wiki_id: row.wikiId,
  job_id: row.jobId,
  status: row.status,
  failure: row.failure,
  created_at: row.createdAt.toISOString(),
  ended_at: row.endedAt?.toISOString() ?? null,
  left_for_later: row.leftForLater,
})

const toPage = (row: Awaited<ReturnType<typeof readAssignedPages>>[number]): Assignment['pages'][number] => ({
  id: row.id,
  title: row.title,
  outcome: row.outcome,
  similarity: row.similarity,
  cluster_no: row.clusterNo,
  lineage_id: row.lineageId,
  tags: [...row.tags],
})
