import { createHash } from 'node:crypto'
import {
  CancelJob,
  events,
  Job,
  JobList,
  JobListQuery,
  type JobOptions,
  JobParams,
  NewJob,
  NewJobHeaders,
  toMessage,
  WikiParams,
} from '@tagloom/contracts'
import {
  cancelJob,
  countPages,
  createJob,
  findJobByIdempotencyKey,
  type Job as JobRow,
  listJobs,
  readJobView,
  requeueJob,
} from '@tagloom/database'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { refuseOtherWiki } from '../auth/authenticate.ts'
import { decodeCursor, toList } from '../http/cursor.ts'
import { ProblemError } from '../http/problem.ts'
import { logOf } from '../http/request-log.ts'
import { beginNextJob } from '../job-life/begin.ts'
import { toJob } from '../job-progressed/to-job.ts'
import { findJob, findWiki } from './find.ts'
import type { Routes } from './index.ts'

const tags = ['Jobs']

export const jobRoutes: Routes = (deps) => async (app) => {
  const { db, relay, metrics } = deps

  app.post(
    '/api/wikis/:wiki_id/jobs',
    {
      config: { scope: 'write' },
      schema: {
        tags,
        operationId: 'createJob',
        summary: 'Ask for a job; jobs of one wiki run one after the other',
        params: WikiParams,
        headers: NewJobHeaders,
        body: NewJob,
        response: { 202: Job },
      },
    },
    async (request, reply) => {
      const wiki = await findWiki(db, request.params.wiki_id)
      const pages = (await countPages(db, [wiki.id])).get(wiki.id)!
      if (pages === 0)
        throw new ProblemError(
          'wiki_empty',
          `Wiki ${wiki.id} has no pages: POST some to /api/wikis/${wiki.id}/pages first`,
        )
      const options = request.body ?? {}
      const idempotencyKey = request.headers['idempotency-key']
      const requestHash = hashOptions(options)
      const job = await relay.commit(async (tx, owe) => {
        const { id: requestId, traceparent, caller } = request
        const asked = {
          wikiId: wiki.id,
          options,
          idempotencyKey,
          requestHash,
          requestedBy: caller.keyId,
          requestId,
          traceparent,
        }
        const made = await createJob(tx, asked)
        if (made) await beginNextJob(tx, owe, wiki.id)
        return made
      })
      if (!job) return answer(reply, await repeated(wiki.id, idempotencyKey!, requestHash))
      metrics.jobs.inc({ event: 'requested' })
      const of = { wiki_id: wiki.id, job_id: job.id, pages, requested_by: request.caller.name }
      logOf(deps.log, request).event('job_requested', of)
      return answer(reply, job.id)
    },
  )

  app.get(
    '/api/jobs',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'listJobs',
        summary: 'List jobs, newest first',
        querystring: JobListQuery,
        response: { 200: JobList },
      },
    },
    async ({ query, caller }) => {
      if (query.wiki_id !== undefined) {
        refuseOtherWiki(caller, query.wiki_id)
        await findWiki(db, query.wiki_id)
      }
      const limit = query.limit!
      const before = decodeCursor(query.cursor, 'time', 'text')
      const rows = await listJobs(db, {
        limit: limit + 1,
        before: before && { createdAt: new Date(before[0]), id: before[1] },
        wikiId: query.wiki_id,
        status: query.status,
        wikiIds: caller.wikiIds,
      })
      return toList(rows, limit, (row) => [row.createdAt.getTime(), row.id], toJob)
    },
  )

  app.get(
    '/api/jobs/:job_id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'getJob',
        summary: 'One job with its stages',
        params: JobParams,
        response: { 200: Job },
      },
    },
    async ({ params, caller }) => toJob(await findJob(db, caller, params.job_id)),
  )

  app.post(
    '/api/jobs/:job_id/cancel',
    {
      config: { scope: 'write' },
      schema: {
        tags,
        operationId: 'cancelJob',
        summary: 'Cancel a queued or running job; the wiki keeps showing its current one',
        params: JobParams,
        body: CancelJob,
        response: { 202: Job },
      },
    },
    async (request, reply) => {
      const job = await findJob(db, request.caller, request.params.job_id)
      const reason = request.body?.reason ?? `cancelled by ${request.caller.name}`
      await relay.commit(async (tx, owe) => {
        const cancelled = await cancelJob(tx, job.id, reason)
        if (!cancelled) throw conflict(job, 'cancelled', 'queued or running')
        owe(
          toMessage(
            events.jobCancelled,
            { wiki_id: job.wikiId, job_id: job.id, reason },
            context(request),
            `${job.attempt}`,
          ),
        )
        await beginNextJob(tx, owe, job.wikiId)
      })
      metrics.jobs.inc({ event: 'cancelled' })
      logOf(deps.log, request).event('job_cancelled', { wiki_id: job.wikiId, job_id: job.id, reason })
      return answer(reply, job.id)
    },
  )

  app.post(
    '/api/jobs/:job_id/retry',
    {
      config: { scope: 'write' },
      schema: {
        tags,
        operationId: 'retryJob',
        summary: 'Resume a failed or cancelled job; finished batches are not redone',
        params: JobParams,
        response: { 202: Job },
      },
    },
    async (request, reply) => {
      const job = await findJob(db, request.caller, request.params.job_id)
      await relay.commit(async (tx, owe) => {
        if (!(await requeueJob(tx, job.id))) throw conflict(job, 'retried', 'failed or cancelled')
        await beginNextJob(tx, owe, job.wikiId)
      })
      metrics.jobs.inc({ event: 'retried' })
      const of = { wiki_id: job.wikiId, job_id: job.id, attempt: job.attempt + 1 }
      logOf(deps.log, request).event('job_retried', of)
      return answer(reply, job.id)
    },
  )

  async function repeated(wikiId: number, key: string, requestHash: string): Promise<string> {
    const job = await findJobByIdempotencyKey(db, wikiId, key)
    if (job?.requestHash === requestHash) return job.id
    throw new ProblemError(
      'idempotency_key_reused',
      `The idempotency key was used with other options, for job ${job?.id}: take another key`,
    )
  }

  async function answer(reply: FastifyReply, jobId: string): Promise<Job> {
    const job = await readJobView(db, jobId)
    reply.code(202).header('location', `/api/jobs/${jobId}`)
    return toJob(job!)
  }
}

const context = (request: FastifyRequest) => ({
  source: 'gateway',
  requestId: request.id,
  traceparent: request.traceparent,
})

const conflict = (job: JobRow, verb: string, allowed: string) =>
  new ProblemError('job_state_conflict', `Job ${job.id} is ${job.status}; only a job that is ${allowed} can be ${verb}`)

/** Equal for equal options, in whatever order they came. */
const hashOptions = (options: JobOptions): string =>
  createHash('sha256')
    .update(JSON.stringify(Object.entries(options).toSorted()))
    .digest('hex')
