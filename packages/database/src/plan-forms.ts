import type { TagStatus } from './schema/tags.ts'

export interface FormedTag {
  readonly id: number
  readonly label: string
  readonly form: string
  readonly status: TagStatus
}

export interface PlannedForms {
  /** New forms of the tags that need one */
  readonly forms: readonly { readonly id: number; readonly form: string }[]
  /** Tags that have become the same as another */
  readonly merges: readonly { readonly id: number; readonly into: number }[]
}

/** What a person decided stands before what a job proposed; who approved a tag sees what becomes of it, who rejected one may not. */
const weight: Record<TagStatus, number> = { approved: 0, rejected: 1, proposed: 2, merged: 3 }

/**
 * What is to do with a wiki's tags when their labels have other forms than those stored. Of tags of one form the one that people decided
 * about stays, of equals the oldest; the others are merged into it and get a form that no label has ("bus #12": a form has no marks where it
 * has letters), since a form is one tag's. Tags that were merged before stay where they went.
 * @param tags of one wiki, in the order of their ids
 */
export function planForms(tags: readonly FormedTag[], formOf: (label: string) => string): PlannedForms {
  const forms: { id: number; form: string }[] = []
  const merges: { id: number; into: number }[] = []
  for (const [form, same] of Map.groupBy(tags, ({ label }) => formOf(label))) {
    const [stays, ...others] = same.toSorted((a, b) => weight[a.status] - weight[b.status] || a.id - b.id)
    if (stays!.form !== form) forms.push({ id: stays!.id, form })
    for (const { id, status, form: stored } of others) {
      const apart = `${form} #${id}`
      if (stored !== apart) forms.push({ id, form: apart })
      if (status !== 'merged') merges.push({ id, into: stays!.id })
    }
  }
  return { forms, merges }
}
