import { hash, randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Scope, scopes } from '@tagloom/contracts'

/** 256 random bits, so that a plain SHA-256 is as hard to reverse as the key is to guess. */
export const newApiKey = (): string => `tl_${randomBytes(32).toString('base64url')}`

/** What is stored of a key: hex. */
export const hashApiKey = (key: string): string => hash('sha256', key, 'hex')

/** The key of a request: `Authorization: Bearer <key>` or `x-api-key: <key>`. */
export function presentedKey(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (bearer) return bearer
  const header = headers['x-api-key']
  return typeof header === 'string' && header !== '' ? header : undefined
}

/** Whether these scopes allow what needs `needed`: each scope includes those before it. */
export const allows = (has: readonly Scope[], needed: Scope): boolean =>
  has.some((scope) => scopes.indexOf(scope) >= scopes.indexOf(needed))
