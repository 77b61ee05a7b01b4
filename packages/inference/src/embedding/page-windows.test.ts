import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type PageRecipe, pageWindows } from './page-windows.ts'

const recipe: PageRecipe = {
  windowTokens: 100,
  bodyWindows: 3,
  titleEverywhere: true,
  outlineWeight: 1,
  leadWeight: 1,
  bodyWeight: 1,
}
const english = () => 4
const words = (n: number) => Array.from({ length: n }, (_, i) => `word${i}`).join(' ')

describe('windows of a page', () => {
  it('are one for a short page, with its title', () => {
    expect(pageWindows({ title: 'Gas', text: 'What gas costs.' }, recipe, english)).toEqual([
      { text: 'Gas\nWhat gas costs.', weight: 1 },
    ])
  })

  it('do not say the title twice when the text begins with it', () => {
    expect(pageWindows({ title: 'Gas', text: '# Gas\n\nWhat gas costs.' }, recipe, english)[0]!.text).toBe(
      'Gas\nWhat gas costs.',
    )
    expect(pageWindows({ title: 'Gas', text: 'gas' }, recipe, english)).toEqual([{ text: 'Gas', weight: 1 }])
    expect(pageWindows({ title: 'Gas', text: 'Gasoline burns' }, recipe, english)[0]!.text).toBe('Gas\nGasoline burns')
  })

  it('are headings, lead and pieces from the whole body for a long page', () => {
    const text = `Lead.\n\n## History\n${words(300)}\n== Uses ==\n${words(300)}\n<h2 class="x">Makers</h2>\n${words(300)} end`
    const windows = pageWindows({ title: 'Press', text }, recipe, english)
    expect(windows).toHaveLength(5)
    expect(windows[0]!.text).toBe('Press\nHistory\nUses\nMakers')
    expect(windows[1]!.text).toMatch(/^Press\nLead/u)
    expect(windows.at(-1)!.text).toMatch(/end$/u)
    expect(windows.reduce((sum, w) => sum + w.weight, 0)).toBeCloseTo(3)
  })

  it('are none for a page with nothing to read, and the title alone for one without text', () => {
    expect(pageWindows({ title: ' ', text: '\n\t ' }, recipe, english)).toEqual([])
    expect(pageWindows({ title: 'Only a title', text: '' }, recipe, english)).toEqual([
      { text: 'Only a title', weight: 1 },
    ])
  })

  it('are few and short whatever the page', () => {
    const huge = 'x'.repeat(5_000_000)
    const windows = pageWindows({ title: 't'.repeat(1000), text: huge }, recipe, english)
    expect(windows.length).toBeLessThanOrEqual(5)
    for (const { text } of windows) expect(text.length).toBeLessThan(1500)
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary', maxLength: 3000 }), (title, text) => {
        for (const window of pageWindows({ title, text }, recipe, english)) {
          expect(window.text.isWellFormed()).toBe(true)
          expect(window.weight).toBeGreaterThan(0)
        }
      }),
    )
  })

  it.each([
    ['==', ' ', ''],
    ['== a', '\t', 'b =='],
    ['<h1', ' ', '>'],
    ['#', ' ', ''],
  ])('cost little for a line of %j and a hundred thousand times %j', (begin, blank, end) => {
    const started = performance.now()
    // What grows with the square of a line is seen before it would take hours.
    for (const blanks of [3_000, 100_000]) {
      const text = `text\n${begin}${blank.repeat(blanks)}${end}\n${words(300)}`
      pageWindows({ title: '', text }, recipe, english)
      expect(performance.now() - started).toBeLessThan(1_000)
    }
  })

  it('cut no character in two, whose two halves would be read as unknown ones', () => {
    const smiles = (before: string, count: number) => before + '😀'.repeat(count)
    const odd = [
      { title: '', text: smiles('a', 5000) },
      { title: '', text: smiles('ab', 5000) },
      { title: smiles('a', 400), text: 'b' },
      { title: 't', text: `# ${smiles('a', 90)}\n${words(300)}` },
    ]
    for (const page of odd) {
      for (const perToken of [4, 4.01, 4.02]) {
        for (const { text } of pageWindows(page, recipe, () => perToken)) expect(text.isWellFormed()).toBe(true)
      }
    }
  })

  it('hold as many characters as the script needs', () => {
    const text = '印刷術是歷史上最重要的發明之一。'.repeat(200)
    const [lead] = pageWindows({ title: '', text }, { ...recipe, outlineWeight: 0 }, () => 1)
    expect(lead!.text).toHaveLength(100)
  })
})
