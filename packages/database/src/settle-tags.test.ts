import fc from 'fast-check'
import { expect, test } from 'vitest'
import { settleTags, type WholeTagDecision } from './settle-tags.ts'

const tags = Array.from({ length: 6 }, (_, id) => ({
  id,
  ownStatus: id % 2 ? ('approved' as const) : ('proposed' as const),
}))
const id = fc.nat(tags.length - 1)
const about = { tagId: id, decidedBy: fc.constantFrom('ann', 'tagloom'), byRule: fc.boolean(), overruled: fc.boolean() }
const decision: fc.Arbitrary<WholeTagDecision> = fc.oneof(
  fc.record({ ...about, kind: fc.constantFrom('approved' as const, 'rejected' as const), intoId: fc.constant(null) }),
  fc.record({ ...about, kind: fc.constant('merged' as const), intoId: id }),
)
const decisions = fc.array(decision, { maxLength: 12 })

test('whatever is decided, a merged tag stands for another one that is not merged', () => {
  fc.assert(
    fc.property(decisions, (newestFirst) => {
      const states = settleTags(tags, newestFirst)
      for (const [tagId, { status, mergedInto }] of states) {
        expect(status === 'merged').toBe(mergedInto !== null)
        if (mergedInto === null) continue
        expect(mergedInto).not.toBe(tagId)
        expect(states.get(mergedInto)?.status).not.toBe('merged')
      }
    }),
  )
})

test('a tag that no decision is about, and none of those it is named with, is what it is by itself', () => {
  fc.assert(
    fc.property(decisions, (newestFirst) => {
      const [apart, ...others] = tags
      const elsewhere = newestFirst.filter(({ tagId, intoId }) => tagId !== apart!.id && intoId !== apart!.id)
      const states = settleTags(tags, elsewhere)
      expect(states.get(apart!.id)).toEqual({ status: apart!.ownStatus, mergedInto: null, mergedBy: null })
      expect(settleTags(others, elsewhere)).toEqual(new Map([...states].filter(([tagId]) => tagId !== apart!.id)))
    }),
  )
})

test('the newest decision about a tag counts, unless it is a merge that leads back to it by newer ones', () => {
  const merged = (tagId: number, intoId: number) =>
    ({ tagId, kind: 'merged', intoId, decidedBy: 'ann', byRule: false, overruled: false }) as const
  const states = settleTags(tags, [
    merged(0, 1),
    merged(1, 2),
    merged(2, 0),
    { ...merged(2, 0), kind: 'rejected', intoId: null },
  ])
  expect([0, 1, 2].map((tagId) => states.get(tagId)?.status)).toEqual(['merged', 'merged', 'rejected'])
  expect([0, 1].map((tagId) => states.get(tagId)?.mergedInto)).toEqual([2, 2])
})
