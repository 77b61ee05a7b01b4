import { envSchema } from 'env-schema'
import type { Static, TObject } from 'typebox'

/** Variables are missing or wrong: the message names them, what was expected and, where it is no secret, what came. */
export class EnvironmentError extends Error {
  readonly code = 'bad_environment'
  override readonly name = 'EnvironmentError'
}

export type Variables = Readonly<Record<string, string | undefined>>

/** A value of these is never shown. */
const secret = /key|secret|token|password|url|dsn/i

interface Violation {
  readonly instancePath: string
  readonly message?: string
  readonly params: { readonly missingProperty?: string; readonly allowedValues?: readonly unknown[] }
}

/**
 * Reads the variables that the schema declares; defaults are filled in, numbers and booleans read from their text. An empty value is none:
 * that is what compose files make of a variable that isn't set.
 * @throws EnvironmentError naming every variable that is missing or wrong, what was expected and what came
 */
export function readEnvironment<Schema extends TObject>(schema: Schema, env: Variables): Static<Schema> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
  try {
    // A copy, since env-schema writes into the schema that it is given.
    return envSchema<Static<Schema>>({ schema: structuredClone(schema), data: given, env: false })
  } catch (cause) {
    const violations = (cause as { errors?: readonly Violation[] }).errors
    if (!violations) throw cause
    const lines = violations.map((violation) => describe(schema, violation, env))
    throw new EnvironmentError(`the environment is not as expected:\n${lines.map((line) => `  ${line}`).join('\n')}`, {
      cause,
    })
  }
}

function describe(schema: TObject, violation: Violation, env: Variables): string {
  const name = violation.params.missingProperty ?? violation.instancePath.split('/')[1] ?? ''
  const about = (schema.properties[name] as { description?: string } | undefined)?.description
  const purpose = about ? ` (${about})` : ''
  if (violation.params.missingProperty) return `${name}: expected a value, got none${purpose}`
  const allowed = violation.params.allowedValues
  const expected = allowed ? `must be one of ${allowed.join(', ')}` : violation.message
  const got = secret.test(name) ? '(not shown)' : JSON.stringify(env[name])
  return `${name}: ${expected}, got ${got}${purpose}`
}
