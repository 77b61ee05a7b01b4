import { Readable } from 'node:stream'
import {
  Baseline,
  CompareParams,
  Comparison,
  checkQualityThresholds,
  JobMetrics,
  JobParams,
  metricList,
  metricValue,
  RunList,
  RunListQuery,
  type RunRecord,
  recordAsOf,
  WikiParams,
} from '@tagloom/contracts'
import {
  compareTags,
  type JobView,
  type ListRuns,
  listRuns,
  readJobView,
  readRecord,
  setBaseline,
} from '@tagloom/database'
import type { FastifyReply } from 'fastify'
import Type from 'typebox'
import { refuseOtherWiki } from '../auth/authenticate.ts'
import { decodeCursor, toList } from '../http/cursor.ts'
import { ProblemError } from '../http/problem.ts'
import { BriefCache } from '../runs/brief-cache.ts'
import { compareRuns } from '../runs/compare.ts'
import { exportRuns, exportTypes, toRun } from '../runs/export.ts'
import { findJob, findWiki, noJob } from './find.ts'
import type { Routes } from './index.ts'

const tags = ['Run records']
const exportPart = 1000
const rememberMs = 500
/** Records, some 10 kB each */
const mostRemembered = 100

interface MadeAnswer {
  readonly job: JobView
  readonly live: boolean
  /** undefined: there is no record */
  readonly json: string | undefined
}
/** The record of a running job follows its work, so it is read for everyone who asks. */
const isStored = ({ live }: MadeAnswer): boolean => !live

export const runRoutes: Routes = (deps) => async (app) => {
  const { db, relay, config } = deps
  const answers = new BriefCache<MadeAnswer>(config.ENABLE_QUERY_CACHING ? rememberMs : 0, mostRemembered)

  app.get(
    '/api/wikis/:wiki_id/runs',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'listRuns',
        summary: 'List run records, filtered and sorted by any metric; as JSON, CSV or NDJSON',
        params: WikiParams,
        querystring: RunListQuery,
        response: {
          200: {
            description: 'Runs',
            content: {
              'application/json': { schema: RunList },
              'text/csv': { schema: Type.String() },
              'application/x-ndjson': { schema: Type.String() },
            },
          },
        },
      },
    },
    async ({ params, query }, reply) => {
      const wiki = await findWiki(db, params.wiki_id)
      const list = toListRuns(wiki.id, query)
      if (query.format === 'csv' || query.format === 'ndjson') {
        const part = (after: ListRuns['after']) =>
          listRuns(db, { ...list, limit: exportPart, after: after ?? list.after })
        return reply
          .type(exportTypes[query.format])
          .header('content-disposition', `attachment; filename="wiki-${wiki.id}-runs.${query.format}"`)
          .send(Readable.from(exportRuns(query.format, part)) as never)
      }
      const rows = await listRuns(db, { ...list, limit: list.limit + 1 })
      return toList(rows, list.limit, (row) => row.position, toRun)
    },
  )

  app.get(
    '/api/jobs/:job_id/metrics',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'getJobMetrics',
        summary: 'The record of a job: so far while it runs, within a second of the work',
        params: JobParams,
        response: { 200: JobMetrics },
      },
    },
    async ({ params, caller }, reply) => {
      const made = await answers.get(params.job_id, () => answerOf(params.job_id, reply), isStored)
      // Whoever asked first: each caller is asked for its right.
      refuseOtherWiki(caller, made.job.wikiId)
      if (made.json === undefined) throw noRecord(made.job)
      return reply.type('application/json; charset=utf-8').send(made.json as never)
    },
  )

  app.get(
    '/api/jobs/:job_id/compare/:other_id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'compareRuns',
        summary: 'Two runs of a wiki side by side: figures with better or worse, settings, tags',
        params: CompareParams,
        response: { 200: Comparison },
      },
    },
    async ({ params, caller }) => {
      const a = await findJob(db, caller, params.job_id)
      const b = await findJob(db, caller, params.other_id)
      if (a.wikiId !== b.wikiId)
        throw new ProblemError(
          'bad_request',
          `Job ${a.id} is of wiki ${a.wikiId} and job ${b.id} of wiki ${b.wikiId}: expected one wiki`,
        )
      return compareRuns(await recordOf(a), await recordOf(b), await compareTags(db, a.id, b.id))
    },
  )

  app.put(
    '/api/wikis/:wiki_id/baseline',
    {
      config: { scope: 'write' },
      schema: {
        tags,
        operationId: 'setBaseline',
        summary: 'Pin the run that others are measured against, or unpin it with null',
        params: WikiParams,
        body: Baseline,
        response: { 200: Baseline },
      },
    },
    async ({ params, body, caller }) => {
      const wiki = await findWiki(db, params.wiki_id)
      const found = await relay.commit((tx) => setBaseline(tx, wiki.id, body.job_id, caller.name))
      if (!found) throw new ProblemError('job_not_found', `Wiki ${wiki.id} has no record of a job ${body.job_id}`)
      return { job_id: body.job_id }
    },
  )

  async function answerOf(jobId: string, reply: FastifyReply): Promise<MadeAnswer> {
    const job = await readJobView(db, jobId)
    if (!job) throw noJob(jobId)
    const stored = await readRecord(db, job.id)
    const found = stored ?? (await deps.live.get(job.wikiId, job.id))
    const record = found && !stored ? recordAsOf(found, job, new Date()) : found
    const live = stored === undefined
    if (!record) return { job, live, json: undefined }
    const answer = { record, live, quality_alerts: checkQualityThresholds(figuresOf(record)) }
    return { job, live, json: reply.serializeInput(answer, '200') as string }
  }

  async function recordOf(job: JobView): Promise<RunRecord> {
    const record = await readRecord(db, job.id)
    if (!record) throw noRecord(job)
    return record
  }
}

const noRecord = (job: JobView) =>
  new ProblemError(
    'job_not_found',
    `Job ${job.id} is ${job.status} and has no run record: it is made while the job runs, unless ENABLE_METRICS=false, and kept by retention`,
  )

const figuresOf = (record: RunRecord) =>
  Object.fromEntries(metricList.map(({ name }) => [name, metricValue(record, name)]))

function toListRuns(wikiId: number, query: RunListQuery): ListRuns {
  if ((query.min !== undefined || query.max !== undefined) && query.metric === undefined)
    throw new ProblemError('validation_failed', 'query/metric expected: min and max are bounds of a metric')
  return {
    wikiId,
    limit: query.limit!,
    sort: query.sort!,
    order: query.order!,
    after: decodeCursor(query.cursor, query.sort === 'created_at' ? 'time' : 'number', 'text'),
    since: query.since === undefined ? undefined : new Date(query.since),
    until: query.until === undefined ? undefined : new Date(query.until),
    dryRun: query.dry_run,
    metric: query.metric,
    min: query.min,
    max: query.max,
  }
}
