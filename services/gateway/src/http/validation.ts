import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'

/**
 * Checks requests by TypeBox itself. Parameters, query and headers arrive as text, so they are converted to the types of their schema
 * and get its defaults; a body is JSON and must be right as it is: "5" is no number there.
 */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = Compile(schema)
  // Walking a schema for defaults that it has not, and for a query that is empty, costs more than the check.
  const hasDefaults = JSON.stringify(schema).includes('"default":')
  const fromText = (given: object): unknown => {
    const fields = { ...given }
    if (hasDefaults) return Value.Convert(schema, Value.Default(schema, fields))
    return Object.keys(fields).length === 0 ? fields : Value.Convert(schema, fields)
  }
  return (given: unknown) => {
    const value = httpPart === 'body' ? (given ?? null) : fromText(given as object)
    if (check.Check(value)) return { value }
    return { error: [...check.Errors(value)].map(({ instancePath, message }) => ({ instancePath, message })) as never }
  }
}
