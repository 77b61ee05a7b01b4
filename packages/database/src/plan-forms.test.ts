import { describe, expect, it } from 'vitest'
import { type FormedTag, planForms } from './plan-forms.ts'

const lower = (label: string): string => label.toLowerCase()
const tag = (id: number, label: string, form: string, status: FormedTag['status'] = 'proposed'): FormedTag => ({
  id,
  label,
  form,
  status,
})

describe('new forms of stored tags', () => {
  it('leave alone what has the form already', () => {
    expect(planForms([tag(1, 'Bus', 'bus'), tag(2, 'Car', 'car')], lower)).toEqual({ forms: [], merges: [] })
  })

  it('of tags that have become the same keep the approved one, then the rejected one, then the oldest', () => {
    const statuses = ['proposed', 'proposed', 'rejected', 'approved'] as const
    const staying = statuses.map((_, at) => {
      const left = statuses.slice(0, at + 1).map((status, k) => tag(k + 1, 'Bus', `bus${k}`, status))
      return planForms(left, lower)
    })
    expect(staying.map(({ merges }) => merges)).toEqual([
      [],
      [{ id: 2, into: 1 }],
      [
        { id: 1, into: 3 },
        { id: 2, into: 3 },
      ],
      [
        { id: 3, into: 4 },
        { id: 1, into: 4 },
        { id: 2, into: 4 },
      ],
    ])
  })

  it('are one for each tag, and the same when they are made again', () => {
    const tags = [tag(1, 'BUS', 'x', 'merged'), tag(2, 'Bus', 'bus', 'approved'), tag(3, 'bus', 'y')]
    const { forms, merges } = planForms(tags, lower)
    expect(forms).toEqual([
      { id: 3, form: 'bus #3' },
      { id: 1, form: 'bus #1' },
    ])
    expect(merges).toEqual([{ id: 3, into: 2 }])
    const after = tags.map((one) => ({ ...one, form: forms.find(({ id }) => id === one.id)?.form ?? one.form }))
    expect(
      planForms(
        after.map((one) => (one.id === 3 ? { ...one, status: 'merged' as const } : one)),
        lower,
      ),
    ).toEqual({
      forms: [],
      merges: [],
    })
  })
})
