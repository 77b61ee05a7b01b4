import { severities } from '@tagloom/contracts'
import { EnvironmentError } from '@tagloom/service-kit'
import Type, { type Static } from 'typebox'
import { Value } from 'typebox/value'

const common = {
  name: Type.String({ pattern: '^[a-z][a-z0-9-]{0,39}$', description: 'Unique; part of the delivery key' }),
  severities: Type.Optional(Type.Array(Type.Enum([...severities]), { minItems: 1, description: 'By default all' })),
  wikis: Type.Optional(Type.Array(Type.Integer({ minimum: 1 }), { minItems: 1, description: 'By default all' })),
}
const url = Type.String({ pattern: '^https?://', maxLength: 2000 })
const secret = Type.String({ pattern: '^whsec_[A-Za-z0-9+/]{32,}={0,2}$', description: 'Standard Webhooks secret' })
const closed = { additionalProperties: false }

const Receiver = Type.Union([
  Type.Object(
    {
      ...common,
      type: Type.Literal('webhook'),
      url,
      secret,
      previous_secret: Type.Optional(secret),
    },
    closed,
  ),
  Type.Object(
    {
      ...common,
      type: Type.Literal('pagerduty'),
      routing_key: Type.String({ minLength: 1, maxLength: 200 }),
      url: Type.Optional(url),
    },
    closed,
  ),
  Type.Object(
    { ...common, type: Type.Literal('alertmanager'), url, bearer_token: Type.Optional(Type.String()) },
    closed,
  ),
])
export type Receiver = Static<typeof Receiver>

/**
 * Reads ALERT_RECEIVERS, a JSON array.
 * @throws with the place of each thing that is wrong; no secret is repeated
 */
export function parseReceivers(text: string): Receiver[] {
  if (text.trim() === '') return []
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch (cause) {
    throw new EnvironmentError('ALERT_RECEIVERS: expected a JSON array of receivers, got text that is not JSON', {
      cause,
    })
  }
  if (!Array.isArray(given)) throw new EnvironmentError(`ALERT_RECEIVERS: expected a JSON array, got ${typeof given}`)
  const problems = given.flatMap((receiver, at) => problemsOf(receiver).map((problem) => `/${at}${problem}`))
  const names = given.map((receiver) => (receiver as { name?: unknown })?.name)
  names.forEach((name, at) => {
    if (name === 'log') problems.push(`/${at}/name: expected another name than log, which every alert has`)
    if (names.indexOf(name) !== at) problems.push(`/${at}/name: expected a name used once`)
  })
  if (problems.length) throw new EnvironmentError(`ALERT_RECEIVERS: ${problems.join('; ')}`)
  return given as Receiver[]
}

function problemsOf(receiver: unknown): string[] {
  const type = (receiver as { type?: unknown })?.type
  const schema = Receiver.anyOf.find((variant) => variant.properties.type.const === type)
  if (!schema) return ['/type: expected webhook, pagerduty or alertmanager']
  const problems = Value.Errors(schema, receiver).map((error) => `${error.instancePath}: ${error.message}`)
  if (problems.length === 0 && 'url' in (receiver as object)) {
    const { username, password } = new URL((receiver as { url: string }).url)
    if (username || password) problems.push('/url: expected no user name or password in it')
  }
  return problems
}
