import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { Problem } from '@tagloom/contracts'
import type { FastifyInstance } from 'fastify'

const description = `Reads a wiki, finds its topics, tags its pages, and proves how well it did.

Every error is an RFC 9457 problem with a stable \`code\`. Lists are read by \`limit\` and \`cursor\`. Every answer carries
\`x-request-id\`; send your own to find a request in the logs. \`traceparent\` (W3C) is taken and passed on.`

/** Of the API as it is described; a change that breaks clients makes it 2 */
const apiVersion = '1.0.0'

const security: Record<string, readonly string[]>[] = [{ bearer: [] }, { apiKey: [] }]

/** OpenAPI 3.1 at /docs/json (and .yaml), a page to read and try it at /docs. */
export async function serveOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tagloom',
        version: apiVersion,
        description,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'An API key' },
          apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        },
      },
    },
    transform: ({ schema, url, route }) => ({
      url,
      schema: {
        ...(schema as object),
        ...(route.config?.scope ? { security } : { hide: true }),
      },
    }),
    transformObject: (document) =>
      'openapiObject' in document ? (nameSchemas(document.openapiObject) as never) : (document.swaggerObject as never),
  })
  await app.register(async (pages) => {
    await pages.register(helmet, { strictTransportSecurity: false, contentSecurityPolicy: false })
    await pages.register(swaggerUi, {
      routePrefix: '/docs',
      theme: { title: 'Tagloom API' },
      uiConfig: { persistAuthorization: true, validatorUrl: null },
      // The page asks nobody else, and works over plain HTTP too.
      staticCSP:
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; font-src 'self'; frame-ancestors 'none'",
    })
  })
  app.addHook('onRoute', (route) => {
    if (!route.config?.scope) return
    const problem = (what: string) => ({
      description: what,
      content: { 'application/problem+json': { schema: Problem } },
    })
    const response = (route.schema as { response?: object } | undefined)?.response
    route.schema = {
      ...route.schema,
      response: { ...response, '4xx': problem('What is wrong with the request'), '5xx': problem('What is wrong here') },
    }
  })
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/**
 * Moves every schema with a title into components/schemas and leaves a reference, so that a client generator finds names
 * (Page, Job, Problem) rather than the same shape fifty times.
 */
function nameSchemas(document: object): object {
  const named: Record<string, Json> = {}
  const visit = (value: Json, inPaths: boolean): Json => {
    if (Array.isArray(value)) return value.map((each) => visit(each, inPaths))
    if (value === null || typeof value !== 'object') return value
    const entries = Object.entries(value).map(([key, each]) => [key, visit(each, inPaths)] as const)
    const copy = Object.fromEntries(entries)
    const { title } = copy
    if (!inPaths || typeof title !== 'string' || !isSchema(copy)) return copy
    named[title] = copy
    return { $ref: `#/components/schemas/${title}` }
  }
  const { paths, components, ...rest } = document as Record<string, Json>
  const renamed = visit(paths ?? {}, true)
  return { ...rest, paths: renamed, components: { ...(components as object), schemas: named } }
}

const isSchema = (value: Record<string, Json>): boolean => 'type' in value || 'anyOf' in value
