import type { Scope } from '@tagloom/contracts'
import type { ApiKeyRow } from '@tagloom/database'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ProblemError } from '../http/problem.ts'
import { allows, hashApiKey, presentedKey } from './api-key.ts'
import type { KnownKeys } from './known-keys.ts'

/** Who asks: an API key. */
export interface Caller {
  readonly keyId: number
  readonly name: string
  /** undefined: every wiki */
  readonly wikiIds: readonly number[] | undefined
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller needs here. Every route under /api has one; a route without is open to all. */
    scope?: Scope
  }
  interface FastifyRequest {
    caller: Caller
  }
}

/** Refuses requests without a key of the route's scope, before anything of their body is read. */
export function authenticate(app: FastifyInstance, keys: KnownKeys): void {
  app.decorateRequest('caller', undefined as never)
  app.addHook('onRoute', ({ url, config, method }) => {
    if (url.startsWith('/api/') && !config?.scope) throw new Error(`route ${method} ${url} names no scope`)
  })
  // By callback: a key that is remembered costs no turn of the microtask queue.
  app.addHook('onRequest', (request, _reply, done) => {
    const { scope } = request.routeOptions.config
    if (!scope) return done()
    const hash = hashApiKey(keyOf(request))
    const known = keys.remembered(hash)
    if (known) {
      request.caller = callerOf(known, scope, request)
      return done()
    }
    keys
      .find(hash)
      .then((row) => callerOf(row, scope, request))
      .then((caller) => {
        request.caller = caller
        done()
      }, done)
  })
}

/** @throws ProblemError api_key_missing */
function keyOf(request: FastifyRequest): string {
  const key = presentedKey(request.headers)
  if (key === undefined)
    throw new ProblemError('api_key_missing', 'Send the API key as `Authorization: Bearer <key>` or `x-api-key: <key>`')
  return key
}

/** @throws ProblemError where there is no such key, or it is not for this */
function callerOf(row: ApiKeyRow | undefined, scope: Scope, request: FastifyRequest): Caller {
  if (!row) throw new ProblemError('api_key_invalid', 'The API key is not one of this server, or was revoked')
  if (!allows(row.scopes, scope))
    throw new ProblemError('scope_missing', `This needs the scope ${scope}; the key has ${row.scopes.join(', ')}`)
  const caller: Caller = { keyId: row.id, name: row.name, wikiIds: row.wikiIds ?? undefined }
  const wikiId = (request.params as { wiki_id?: string } | undefined)?.wiki_id
  if (wikiId !== undefined) refuseOtherWiki(caller, Number(wikiId))
  return caller
}

/** @throws ProblemError wiki_forbidden */
export function refuseOtherWiki(caller: Caller, wikiId: number): void {
  if (caller.wikiIds && !caller.wikiIds.includes(wikiId))
    throw new ProblemError('wiki_forbidden', `The API key is not for wiki ${wikiId}`)
}
