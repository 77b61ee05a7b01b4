import Type, { type TObject, type TProperties, type TSchema } from 'typebox'

export const maxPageSize = 1000

/** Query of every list: how many, and after which. Further filters are added by each list. */
export const listQuery = <Filters extends TProperties>(filters: Filters) =>
  Type.Object(
    {
      limit: Type.Optional(
        Type.Integer({ minimum: 1, maximum: maxPageSize, default: 100, description: 'Most items in one answer' }),
      ),
      cursor: Type.Optional(Type.String({ maxLength: 2000, description: "next_cursor of the list's previous part" })),
      ...filters,
    },
    { additionalProperties: false },
  )

export interface List<Item> {
  items: Item[]
  next_cursor: string | null
}

export const listOf = <Item extends TSchema>(item: Item, title: string) =>
  Type.Object(
    {
      items: Type.Array(item),
      next_cursor: Type.Union([Type.String(), Type.Null()], {
        description: 'Pass it as ?cursor= for what follows; null at the end',
      }),
    },
    { title },
  ) satisfies TObject
