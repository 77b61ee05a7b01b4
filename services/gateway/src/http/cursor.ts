import type { List } from '@tagloom/contracts'
import { ProblemError } from './problem.ts'

/** Values of the last item that the list is ordered by. */
type Position = readonly (string | number)[]

/** Opaque to clients: they hand back what they got. */
const encodeCursor = (position: Position): string => Buffer.from(JSON.stringify(position)).toString('base64url')

/** What may stand in a position, as the database takes it: a cursor that somebody made up must not reach it. */
const kinds = {
  id: (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0,
  int4: (value: unknown) => kinds.id(value) && (value as number) < 2 ** 31,
  /** Milliseconds since 1970, as far as a Date goes, with fractions */
  time: (value: unknown) => typeof value === 'number' && value >= 0 && value <= 8.64e15,
  number: (value: unknown) => Number.isFinite(value),
  text: (value: unknown) => typeof value === 'string' && !value.includes('\0'),
}
type Kind = keyof typeof kinds

/**
 * @param expected the kinds of the position's values
 * @throws ProblemError invalid_cursor
 */
export function decodeCursor<Kinds extends readonly Kind[]>(
  cursor: string | undefined,
  ...expected: Kinds
): { [K in keyof Kinds]: Kinds[K] extends 'text' ? string : number } | undefined {
  if (cursor === undefined) return undefined
  const values = parse(cursor)
  if (
    !Array.isArray(values) ||
    values.length !== expected.length ||
    !expected.every((kind, i) => kinds[kind](values[i]))
  )
    throw new ProblemError(
      'invalid_cursor',
      'cursor is not one of this list: pass next_cursor of its previous part as it is',
    )
  return values as never
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
}

/**
 * A part of a list out of rows read with a limit one higher than asked: the row too many says that more follows.
 */
export function toList<Row, Item>(
  rows: readonly Row[],
  limit: number,
  position: (row: Row) => Position,
  toItem: (row: Row) => Item,
): List<Item> {
  const kept = rows.slice(0, limit)
  const last = kept.at(-1)
  return {
    items: kept.map(toItem),
    next_cursor: rows.length > limit && last !== undefined ? encodeCursor(position(last)) : null,
  }
}
