import Type, { type Static } from 'typebox'

/**
 * Every way in which a request can fail: stable code → status and title. A code never changes its meaning;
 * clients branch on it, never on `title` or `detail`.
 */
export const problemCodes = {
  validation_failed: { status: 400, title: 'The request does not match its schema' },
  malformed_json: { status: 400, title: 'The body is not JSON' },
  invalid_cursor: { status: 400, title: 'The cursor is not one that this list gave out' },
  bad_request: { status: 400, title: 'The request cannot be understood' },
  api_key_missing: { status: 401, title: 'An API key is needed' },
  api_key_invalid: { status: 401, title: 'The API key is unknown, revoked or expired' },
  scope_missing: { status: 403, title: 'The API key lacks the scope for this' },
  wiki_forbidden: { status: 403, title: 'The API key is not for this wiki' },
  route_not_found: { status: 404, title: 'There is nothing at this address' },
  wiki_not_found: { status: 404, title: 'No such wiki' },
  page_not_found: { status: 404, title: 'No such page' },
  job_not_found: { status: 404, title: 'No such job' },
  tag_not_found: { status: 404, title: 'No such tag' },
  assignment_not_found: { status: 404, title: 'No such assignment' },
  decision_not_found: { status: 404, title: 'No such decision' },
  api_key_not_found: { status: 404, title: 'No such API key' },
  alert_not_found: { status: 404, title: 'No such alert' },
  silence_not_found: { status: 404, title: 'No such silence' },
  not_acceptable: { status: 406, title: 'The response has no form that the request accepts' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  wiki_exists: { status: 409, title: 'A wiki of this name exists' },
  wiki_empty: { status: 409, title: 'The wiki has no pages' },
  wiki_without_run: { status: 409, title: 'The wiki has no completed run' },
  idempotency_key_reused: { status: 409, title: 'The idempotency key was used for another request' },
  job_state_conflict: { status: 409, title: 'The job is in a state that does not allow this' },
  tag_state_conflict: { status: 409, title: 'The tag is in a state that does not allow this' },
  alert_state_conflict: { status: 409, title: 'The alert is in a state that does not allow this' },
  import_in_progress: { status: 409, title: 'Another import replaces the pages of this wiki' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body is of a type that is not taken here' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The headers of the request are too large' },
  internal_error: { status: 500, title: 'Something went wrong on our side' },
  unavailable: { status: 503, title: 'The service cannot answer now' },
} as const satisfies Record<string, { status: number; title: string }>
export type ProblemCode = keyof typeof problemCodes

/** RFC 9457 problem details, sent as application/problem+json with every status of 400 and above. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'urn:tagloom:problem:<code>' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: 'What was expected, what came, what to do' }),
    instance: Type.String({ description: 'Path of the request' }),
    code: Type.Enum(Object.keys(problemCodes) as ProblemCode[], { description: 'Stable; branch on this' }),
    request_id: Type.String(),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({ description: 'Where, e.g. body/name or query/limit' }),
          message: Type.String(),
        }),
        { description: 'Each thing that is wrong with the request' },
      ),
    ),
  },
  { title: 'Problem' },
)
export type Problem = Static<typeof Problem>

export const problemType = (code: ProblemCode): string => `urn:tagloom:problem:${code}`
