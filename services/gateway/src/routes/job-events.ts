import { JobParams, JobProgress } from '@tagloom/contracts'
import Type from 'typebox'
import { ProblemError } from '../http/problem.ts'
import { followJob } from '../job-progressed/follow-job.ts'
import { findJob } from './find.ts'
import type { Routes } from './index.ts'

const maxStreams = 500

export const jobEventRoutes: Routes = (deps) => async (app) => {
  const open = new Set<AbortController>()
  // Streams never end by themselves; a server that closes waits for them unless they are ended first.
  app.addHook('preClose', async () => {
    for (const stream of open) stream.abort()
  })

  app.get(
    '/api/jobs/:job_id/events',
    {
      config: { scope: 'read' },
      sse: 'manual',
      onRequest: async ({ headers }) => refuseOtherForm(headers.accept),
      handlerTimeout: 2 ** 31 - 1,
      schema: {
        tags: ['Jobs'],
        operationId: 'followJob',
        summary: 'Progress as server-sent events',
        description: `Begins with \`snapshot\` (a Job), goes on with \`progress\` (a JobProgress) and \`metrics\` (the run record so far), and ends after \`ended\` (a Job).
Resume with Last-Event-ID. Comments keep the connection open.`,
        params: JobParams,
        headers: Type.Object({ 'last-event-id': Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$' })) }),
        response: {
          200: {
            description: 'Events',
            content: { 'text/event-stream': { schema: Type.Union([JobProgress, Type.String()]) } },
          },
        },
      },
    },
    async (request, reply) => {
      const job = await findJob(deps.db, request.caller, request.params.job_id)
      if (open.size >= maxStreams)
        throw new ProblemError('unavailable', `${maxStreams} event streams are open already`, { retryAfterSeconds: 10 })
      const stream = new AbortController()
      open.add(stream)
      deps.metrics.streams.set(open.size)
      reply.sse.onClose(() => end(stream))
      // A client that keeps the connection after the end would hold up a server that closes.
      reply.header('connection', 'close')
      const last = request.headers['last-event-id']
      try {
        await reply.sse.send(followJob(deps, job, last === undefined ? undefined : Number(last), stream.signal))
      } finally {
        end(stream)
      }
    },
  )

  function end(stream: AbortController): void {
    stream.abort()
    open.delete(stream)
    deps.metrics.streams.set(open.size)
  }
}

function refuseOtherForm(accept = '*/*'): void {
  if (!/text\/(event-stream|\*)|\*\/\*/.test(accept))
    throw new ProblemError(
      'not_acceptable',
      `This is a stream of text/event-stream, which accept: ${accept} leaves out`,
    )
}
