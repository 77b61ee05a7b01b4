import { noControlCharacters } from '@tagloom/contracts'
import { isoDateTime } from './date-time.ts'

/*
 * Expressions for JSON as `JSON.stringify` writes it of values that a schema accepts, fields in the schema's order. An expression matches part
 * of what its schema accepts and nothing else: it takes printable ASCII without escapes and numbers of at most 15 digits before the point. A
 * schema with a keyword that is not known here has none.
 */

export interface WrittenSchema {
  readonly type?: string
  readonly enum?: readonly string[]
  readonly format?: string
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly items?: WrittenSchema
  readonly maxItems?: number
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, WrittenSchema>>
  readonly patternProperties?: Readonly<Record<string, WrittenSchema>>
  readonly additionalProperties?: WrittenSchema
}

/** Printable ASCII that JSON neither escapes nor ends a string with */
export const plain = '[ !#-[\\]-~]'
/** An expression that matches this text alone */
export const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
const digits = '(?:0|[1-9]\\d{0,14})'
const fraction = '(?:\\.\\d{1,20})?(?:e-\\d{1,3})?'

export interface WrittenObject {
  readonly expression: string
  /** The names that were asked for, in the order of their captures */
  readonly captured: readonly string[]
  /** A longer text may hold more items than an array may have */
  readonly longest: number
}

/** @param capture names of required texts @returns undefined where there is no expression */
export function writtenObject(schema: WrittenSchema, capture: readonly string[]): WrittenObject | undefined {
  const expression = fieldsOf(schema, new Set(capture))
  if (expression === undefined) return undefined
  const captured = Object.keys(schema.properties ?? {}).filter((name) => capture.includes(name))
  return { expression, captured, longest: longestOf(schema) }
}

function expressionOf(schema: WrittenSchema): string | undefined {
  if (has(schema, ['enum'])) return `"(?:${schema.enum?.map((value) => literal(value)).join('|')})"`
  switch (schema.type) {
    case 'string':
      return textOf(schema)
    case 'integer':
      return has(schema, ['type', 'minimum']) ? numberOf(schema.minimum, '') : undefined
    case 'number':
      return has(schema, ['type', 'minimum']) ? numberOf(schema.minimum, fraction) : undefined
    case 'array':
      return has(schema, ['type', 'items', 'maxItems']) ? arrayOf(schema) : undefined
    case 'object':
      return schema.required ? fieldsOf(schema, new Set()) : entriesOf(schema)
    default:
      return undefined
  }
}

function textOf(schema: WrittenSchema): string | undefined {
  if (has(schema, ['type', 'format']) && schema.format === 'date-time') return `"${isoDateTime}"`
  // That any plain text holds no control character is all that is known of patterns.
  if (has(schema, ['type', 'pattern']) && schema.pattern === noControlCharacters) return `"${plain}+"`
  return has(schema, ['type', 'minLength', 'maxLength']) ? `"${plain}${timesOf(schema)}"` : undefined
}

const timesOf = ({ minLength = 0, maxLength }: WrittenSchema): string =>
  maxLength === undefined && minLength < 2 ? (minLength === 1 ? '+' : '*') : `{${minLength},${maxLength ?? ''}}`

function numberOf(minimum: number | undefined, rest: string): string | undefined {
  if (minimum === undefined) return `-?${digits}${rest}`
  if (minimum === 0) return digits + rest
  return minimum === 1 ? `[1-9]\\d{0,14}${rest && '(?:\\.\\d{1,20})?'}` : undefined
}

function arrayOf({ items = {} }: WrittenSchema): string | undefined {
  const item = expressionOf(items)
  return item && `\\[(?:${item}(?:,${item})*)?\\]`
}

/** The first property is required; an optional one without an expression is never matched. */
function fieldsOf(schema: WrittenSchema, capture: ReadonlySet<string>): string | undefined {
  if (!has(schema, ['type', 'required', 'properties'])) return undefined
  let all = ''
  for (const [at, [name, property]] of Object.entries(schema.properties ?? {}).entries()) {
    const value = expressionOf(property)
    const required = schema.required?.includes(name) ?? false
    if (!required && at === 0) return undefined
    if (required && value === undefined) return undefined
    if (value === undefined) continue
    const captured = capture.has(name) ? value.replace(/^"(.*)"$/, '"($1)"') : value
    const field = `${at === 0 ? '' : ','}"${literal(name)}":${captured}`
    all += required ? field : `(?:${field})?`
  }
  return `\\{${all}\\}`
}

/** A dictionary: of values that are alike, apart from those of some names. */
function entriesOf(schema: WrittenSchema): string | undefined {
  const alike = has(schema, ['type', 'patternProperties'])
    ? schema.patternProperties?.['^.*$']
    : has(schema, ['type', 'properties', 'additionalProperties'])
      ? schema.additionalProperties
      : undefined
  const value = alike && expressionOf(alike)
  if (value === undefined) return undefined
  const named = Object.entries(schema.properties ?? {}).map(([name, of]) => [literal(name), expressionOf(of)])
  const others = named.length > 0 ? `(?!(?:${named.map(([name]) => name).join('|')})")` : ''
  const entry = [
    `"${others}${plain}*":${value}`,
    ...named.filter(([, of]) => of !== undefined).map(([name, of]) => `"${name}":${of}`),
  ]
  const any = `(?:${entry.join('|')})`
  return `\\{(?:${any}(?:,${any})*)?\\}`
}

/** Whether a schema has no other keywords than these, and those that only describe. */
const has = (schema: WrittenSchema, keywords: readonly string[]): boolean =>
  keywords[0] !== undefined &&
  keywords[0] in schema &&
  Object.keys(schema).every((keyword) => keyword === 'description' || keywords.includes(keyword))

/** Each item takes two characters at least. */
function longestOf(schema: WrittenSchema): number {
  const parts = [
    schema.items,
    schema.additionalProperties,
    ...Object.values(schema.properties ?? {}),
    ...Object.values(schema.patternProperties ?? {}),
  ].filter((part) => part !== undefined)
  return Math.min(2 * (schema.maxItems ?? Number.POSITIVE_INFINITY), ...parts.map(longestOf))
}
