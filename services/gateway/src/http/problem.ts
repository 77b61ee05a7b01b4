import { type Problem, type ProblemCode, problemCodes, problemType } from '@tagloom/contracts'
import { DatabaseUnavailable } from '@tagloom/database'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

/** What a handler throws to answer with a problem. `detail` says what was expected, what came and what to do. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly code: ProblemCode
  readonly retryAfterSeconds: number | undefined
  constructor(code: ProblemCode, detail: string, more: { cause?: unknown; retryAfterSeconds?: number } = {}) {
    super(detail, { cause: more.cause })
    this.code = code
    this.retryAfterSeconds = more.retryAfterSeconds
  }
}

declare module 'fastify' {
  interface FastifyReply {
    /** Why the request failed, for the log */
    problem: { readonly code: ProblemCode; readonly reason: string; readonly error: Error } | undefined
  }
}

interface FieldError {
  readonly path: string
  readonly message: string
}

/** Fastify's own errors, by their code. What is not here is ours: 500. */
const fastifyCodes: Record<string, ProblemCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
  FST_ERR_BAD_URL: 'bad_request',
  FST_ERR_MAX_PARAM_LENGTH: 'bad_request',
  FST_ERR_HANDLER_TIMEOUT: 'unavailable',
  FST_UNDER_PRESSURE: 'unavailable',
  FST_ERR_RATE_LIMIT: 'rate_limited',
}
const statusCodes: Record<number, ProblemCode> = { 406: 'not_acceptable', 429: 'rate_limited', 503: 'unavailable' }

/** PostgreSQL is gone, starting, stopping or full (SQLSTATE classes 08, 53, 57P), or the socket to it broke. */
const databaseIsAway =
  /^(08|53|57P)|^E(CONN|PIPE|HOSTUNREACH|TIMEDOUT|NOTFOUND)|timeout exceeded when trying to connect|Connection terminated/

function isAway(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (e instanceof DatabaseUnavailable) return true
    if (databaseIsAway.test((e as { code?: string }).code ?? '') || databaseIsAway.test(e.message)) return true
  }
  return false
}

interface Answer {
  readonly code: ProblemCode
  readonly detail: string
  readonly errors?: FieldError[]
  readonly retryAfterSeconds?: number | undefined
}

/** Which problem an error is. Nothing of an unknown error reaches the client but the request id. */
function toAnswer(error: FastifyError | ProblemError): Answer {
  if (error instanceof ProblemError)
    return { code: error.code, detail: error.message, retryAfterSeconds: error.retryAfterSeconds }
  if (error.validation) return validationAnswer(error)
  if (isAway(error))
    return { code: 'unavailable', detail: 'The database does not answer; try again shortly', retryAfterSeconds: 5 }
  const code = fastifyCodes[error.code] ?? statusCodes[error.statusCode ?? 0]
  if (code) return { code, detail: error.message }
  if (error instanceof SyntaxError && error.statusCode === 400) return { code: 'malformed_json', detail: error.message }
  if (error.statusCode && error.statusCode >= 400 && error.statusCode < 500)
    return { code: 'bad_request', detail: error.message }
  return {
    code: 'internal_error',
    detail: 'The request failed for a reason of ours; the log has it under the request id',
  }
}

function validationAnswer(error: FastifyError): Answer {
  const where = error.validationContext === 'querystring' ? 'query' : (error.validationContext ?? 'request')
  const errors = error.validation!.map(({ instancePath, message }) => ({
    path: `${where}${instancePath}`,
    message: message ?? 'is not as expected',
  }))
  const [first] = errors
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  return { code: 'validation_failed', detail: `${first?.path} ${first?.message}${more}`, errors }
}

function sendProblem(request: FastifyRequest, reply: FastifyReply, answer: Answer): FastifyReply {
  const { status, title } = problemCodes[answer.code]
  const problem: Problem = {
    type: problemType(answer.code),
    title,
    status,
    detail: answer.detail,
    instance: request.url.split('?', 1)[0] as string,
    code: answer.code,
    request_id: request.id,
    ...(answer.errors ? { errors: answer.errors } : {}),
  }
  // Also where a request failed before any hook of ours, such as a malformed address.
  reply.header('x-request-id', request.id)
  if (answer.retryAfterSeconds) reply.header('retry-after', answer.retryAfterSeconds)
  // A sender that fell silent may go on at any time: what it sends then must not be taken for another request.
  if (status === 408) reply.header('connection', 'close')
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="tagloom"')
  // Serialized here and not by the route's schema: hooks and 404s have none.
  return reply.code(status).type('application/problem+json').serializer(JSON.stringify).send(problem)
}

export function handleError(error: FastifyError | ProblemError, request: FastifyRequest, reply: FastifyReply): void {
  const answer = toAnswer(error)
  reply.problem = { code: answer.code, reason: reasonOf(error), error: innermost(error) }
  sendProblem(request, reply, answer)
}

/** For the log. A failed query says its statement and values, which may be page text: what the server said of it is enough. */
function reasonOf(error: Error): string {
  return innermost(error).message.slice(0, 2000)
}

/** The error that began it. */
export function innermost(error: Error): Error {
  let at = error
  while (at.cause instanceof Error) at = at.cause
  return at
}
