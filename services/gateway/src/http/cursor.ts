import type { List } from '@tagloom/contracts'
import { ProblemError } from './problem.ts'

/** Values of the last item that the list is ordered by. */
type Position = readonly (string | number)[]

/** Opaque to clients: they hand back what they got. */
const encodeCursor = (position: Position): string => Buffer.from(JSON.stringify(position)).toString('base64url')

/**
 * @param kinds the types of the position's values
 * @throws ProblemError invalid_cursor
 */
export function decodeCursor<Kinds extends readonly ('string' | 'number')[]>(
  cursor: string | undefined,
  ...kinds: Kinds
): { [K in keyof Kinds]: Kinds[K] extends 'string' ? string : number } | undefined {
  if (cursor === undefined) return undefined
  const values = parse(cursor)
  if (!Array.isArray(values) || values.length !== kinds.length || values.some((value, i) => typeof value !== kinds[i]))
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
