import Type, { type Static } from 'typebox'

/** With this code a process ends whose variables are not as expected: nobody need start it again (EX_CONFIG of sysexits.h). */
export const misconfiguredExitCode = 78

const flag = (value: boolean, description: string) => Type.Boolean({ default: value, description })

/** Variables that every service reads. A service's config.ts adds its own; all are documented in .env.example. */
export const commonEnvironment = {
  DATABASE_URL: Type.String({
    minLength: 1,
    description: 'PostgreSQL, e.g. postgres://user:password@host:5432/tagloom',
  }),
  NATS_URL: Type.String({ minLength: 1, description: 'nats-server with JetStream, e.g. nats://127.0.0.1:4222' }),
  NATS_PREFIX: Type.String({
    default: '',
    pattern: '^[A-Za-z0-9_-]*$',
    description: 'Prefix of streams and subjects, so that several installations share a server',
  }),
  HOST: Type.String({ default: '127.0.0.1', description: 'Address to listen on' }),
  PORT: Type.Integer({ default: 0, minimum: 0, maximum: 65_535, description: 'Port to listen on; 0 takes a free one' }),
  TAGLOOM_VERSION: Type.String({
    default: 'development',
    maxLength: 100,
    description: 'Of the running code, a release or a commit: run records tell it',
  }),
  LOG_LEVEL: Type.Enum(['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'], { default: 'INFO' }),
  LOG_FORMAT: Type.Enum(['json', 'readable'], { default: 'json' }),
  LOG_FILE: Type.String({ default: '', description: 'Also write logs to this file, rotated' }),
  ENABLE_METRICS: flag(true, 'Collect run records; false: the pipeline runs and nothing is sent or stored'),
  METRICS_TTL_SECONDS: Type.Integer({ default: 86_400, minimum: 1, description: 'How long a live run record is kept' }),
  STORE_METRICS_IN_DB: flag(true, 'false: live run records only'),
  ENABLE_QUERY_CACHING: flag(true, 'Cache vocabulary, cluster metadata and centroids'),
  BATCH_INSERT_SIZE: Type.Integer({
    default: 1000,
    minimum: 1,
    maximum: 100_000,
    description: 'Pages in one bulk write',
  }),
  MAX_PARALLEL_LLM_CALLS: Type.Integer({
    default: 3,
    minimum: 1,
    maximum: 1000,
    description: 'LLM calls at once, over all replicas',
  }),
}
const CommonEnvironment = Type.Object(commonEnvironment)
export type CommonEnvironment = Static<typeof CommonEnvironment>
