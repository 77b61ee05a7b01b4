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
  return (given: unknown) => {
    const value =
      httpPart === 'body' ? (given ?? null) : Value.Convert(schema, Value.Default(schema, { ...(given as object) }))
    if (check.Check(value)) return { value }
    return { error: [...check.Errors(value)].map(({ instancePath, message }) => ({ instancePath, message })) as never }
  }
}
