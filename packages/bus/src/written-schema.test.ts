import Type, { type TSchema } from 'typebox'
import { expect, it } from 'vitest'
import { type WrittenSchema, writtenObject } from './written-schema.ts'

const expressionOf = (schema: TSchema) => writtenObject(schema as WrittenSchema, [])?.expression
const takes = (schema: TSchema, json: string): boolean => new RegExp(`^${expressionOf(schema)}$`).test(json)

it('lets values of named entries be checked by their own schema alone', () => {
  const entries = Type.Object(
    { cost: Type.Optional(Type.Number({ minimum: 0 })) },
    { additionalProperties: Type.Integer() },
  )
  const schema = Type.Object({ entries })
  for (const json of ['{}', '{"cost":0.5}', '{"other":-1,"cost":2,"costs":-3}'])
    expect(takes(schema, `{"entries":${json}}`)).toBe(true)
  for (const json of ['{"cost":-1}', '{"other":0.5}', '{"cost":1,}'])
    expect(takes(schema, `{"entries":${json}}`)).toBe(false)
})

it('takes numbers from their minimum on, and only those that JSON can write', () => {
  const schema = Type.Object({ n: Type.Number({ minimum: 1 }), i: Type.Integer(), z: Type.Integer({ minimum: 0 }) })
  expect(takes(schema, '{"n":1.5,"i":-3,"z":0}')).toBe(true)
  for (const json of ['{"n":0.5,"i":0,"z":0}', '{"n":1,"i":01,"z":0}', '{"n":1,"i":1.0,"z":0}', '{"n":1,"i":1,"z":-1}'])
    expect(takes(schema, json)).toBe(false)
})

it('takes texts from their least length to their greatest', () => {
  const s = Type.String({ maxLength: 3 })
  const schema = Type.Object({ s, t: Type.String({ minLength: 2 }), u: Type.String({ minLength: 1, maxLength: 2 }) })
  expect(takes(schema, '{"s":"","t":"ab","u":"a"}')).toBe(true)
  expect(takes(schema, '{"s":"abc","t":"abcd","u":"ab"}')).toBe(true)
  for (const json of ['{"s":"abcd","t":"ab","u":"a"}', '{"s":"","t":"a","u":"a"}', '{"s":"","t":"ab","u":""}'])
    expect(takes(schema, json)).toBe(false)
})

it('gives no expression for a schema with a required part that it does not know', () => {
  const unknown = [
    Type.String({ pattern: '^a$' }),
    Type.String({ maxLength: 3, pattern: '^a' }),
    Type.Number({ maximum: 3 }),
    Type.Number({ minimum: 0.5 }),
    Type.Array(Type.Number(), { minItems: 1 }),
    Type.Object({ a: Type.Number() }, { additionalProperties: false }),
    Type.Union([Type.Number(), Type.String()]),
    Type.Unknown(),
  ]
  for (const schema of unknown) expect(expressionOf(Type.Object({ schema }))).toBeUndefined()
})
