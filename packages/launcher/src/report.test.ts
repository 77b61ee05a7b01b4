import type { ImportReport } from '@tagloom/contracts'
import { expect, it } from 'vitest'
import { importLines } from './report.ts'

const report = (errors: ImportReport['errors']): ImportReport => ({
  received: 3,
  created: 3 - errors.length,
  updated: 0,
  unchanged: 0,
  deleted: 0,
  rejected: errors.length,
  repaired: 0,
  errors,
})

it('what is left out is told in one line each, which steers no terminal', () => {
  const source = {
    pageOnLine: () => 'two\nlines \x1b]0;title\x07 \u202egnp.exe',
    reasonOnLine: (line: number) => (line === 1 ? 'known\nhere' : undefined),
    notes: ['a\x1b[2J.md: its front matter'],
  }
  const errors = [1, 2].map((line) => ({ line, code: 'invalid_page' as const, reason: 'as the gateway says' }))
  expect(importLines(report(errors), source)).toEqual([
    '  3 pages read: 1 created, 2 rejected',
    '  left out: two lines ]0;title gnp.exe: known here',
    '  left out: two lines ]0;title gnp.exe: as the gateway says',
    '  a [2J.md: its front matter',
  ])
})

it('of many notes the first ten are told, and how many more there are', () => {
  const notes = Array.from({ length: 25 }, (_, i) => `note ${i}`)
  const lines = importLines(report([]), { pageOnLine: String, reasonOnLine: () => undefined, notes })
  expect(lines).toHaveLength(12)
  expect(lines.at(-1)).toBe('  … and 15 more of these')
})
