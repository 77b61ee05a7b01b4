import { minApiKeyLength } from '@tagloom/contracts'
import type { ConfigOf } from '@tagloom/service-kit'
import Type from 'typebox'

const proxy = '([0-9a-fA-F.:]+(/[0-9.]+)?|loopback|linklocal|uniquelocal)'

export const environment = {
  REDIS_URL: Type.String({
    default: '',
    pattern: '^(rediss?://.+)?$',
    description: 'Live run records are in this Redis rather than in NATS, e.g. redis://127.0.0.1:6379',
  }),
  TAGLOOM_API_KEY: Type.Union([Type.Literal(''), Type.String({ minLength: minApiKeyLength })], {
    default: '',
    description: `The first API key, with every scope, of ${minApiKeyLength} characters or more; without it only keys made before work`,
  }),
  RATE_LIMIT_PER_MINUTE: Type.Integer({
    default: 6_000,
    minimum: 0,
    description: 'Requests a minute from one address; 0 for no limit',
  }),
  TRUST_PROXY: Type.String({
    default: '',
    // Addresses with or without a mask, and the names of networks that Fastify knows
    pattern: `^(${proxy}( *, *${proxy})*)?$`,
    description: 'Addresses or networks of proxies whose x-forwarded-for is believed, comma-separated',
  }),
  WATCHDOG_INTERVAL_SECONDS: Type.Number({
    default: 5,
    minimum: 0.1,
    maximum: 3600,
    description: 'How often the gateway looks for jobs whose message was lost',
  }),
  WATCHDOG_STALL_SECONDS: Type.Number({
    default: 600,
    minimum: 1,
    description: 'A job that has not moved for so long is sent its message again',
  }),
  WATCHDOG_MAX_REVIVALS: Type.Integer({
    default: 5,
    minimum: 1,
    maximum: 100,
    description: 'How often at one place, before the job fails',
  }),
}
export type Config = ConfigOf<typeof environment>
