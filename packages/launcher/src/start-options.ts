import { parseArgs } from 'node:util'

export interface StartOptions {
  once: boolean
  help: boolean
  /** As given; undefined for the demo wiki. */
  wiki: string | undefined
  name: string | undefined
}

export const help = `npm start [-- options]

Starts PostgreSQL, NATS and Tagloom's five services, tags a wiki, prints the run record, and serves until Ctrl-C.

  --once         end after the record is printed: 0 when the job completed, 1 with the reason otherwise
  --wiki PATH    a folder of Markdown (front matter: title, tags), or an .ndjson file with
                 {"id","title","text","tags"?} on each line; without it the documentation of the installed packages
  --name NAME    name of the wiki (default: "demo", or the path); the same name is the same wiki again
  --help         this text

Read from the environment or from .env (see .env.example):
  GATEWAY_PORT (8080)   TAGLOOM_HOME (.tagloom)   TAGLOOM_API_KEY   DATABASE_URL   NATS_URL   REDIS_URL
  LOG_LEVEL   LOG_FORMAT   LOG_FILE   ENABLE_METRICS   METRICS_TTL_SECONDS   STORE_METRICS_IN_DB
  ENABLE_QUERY_CACHING   BATCH_INSERT_SIZE   MAX_PARALLEL_LLM_CALLS
`

/** Throws an error whose message names the argument that is not understood. */
export function parseStartOptions(args: string[]): StartOptions {
  const { values } = parseArgs({
    args,
    options: {
      once: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      wiki: { type: 'string' },
      name: { type: 'string' },
    },
  })
  if (values.wiki === '') throw new Error('--wiki expects a path, got an empty one')
  if (values.name !== undefined && (values.name === '' || values.name.length > 200)) {
    throw new Error(`--name expects 1 to 200 characters, got ${values.name.length}`)
  }
  return { once: values.once, help: values.help, wiki: values.wiki, name: values.name }
}
