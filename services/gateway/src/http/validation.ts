import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'

/**
 * Checks requests by TypeBox itself. Parameters, query and headers arrive as text, so they are converted to the types of their schema
 * and get its defaults; a body is JSON and must be right as it is: "5" is no number there. Text with U+0000, which no text of the
 * database can hold, is refused wherever it stands.
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
    if (check.Check(value)) {
      const path = pathOfNul(value, '')
      return path === undefined ? { value } : { error: [{ instancePath: path, message: nulMessage }] as never }
    }
    return { error: [...check.Errors(value)].map(({ instancePath, message }) => ({ instancePath, message })) as never }
  }
}

const nulMessage = 'holds the character U+0000, which no stored text can: leave it out'

/** Where the first text with U+0000 stands, by a JSON pointer; undefined where there is none. */
function pathOfNul(value: unknown, path: string): string | undefined {
  if (typeof value === 'string') return value.includes('\0') ? path : undefined
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, each] of Object.entries(value)) {
    const found = key.includes('\0') ? path : pathOfNul(each, `${path}/${key}`)
    if (found !== undefined) return found
  }
  return undefined
}
