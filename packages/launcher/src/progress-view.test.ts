import { describe, expect, it } from 'vitest'
import { duration, ProgressView } from './progress-view.ts'

function view(isTTY: boolean): { shown: ProgressView; text(): string; clock: { ms: number } } {
  let written = ''
  const clock = { ms: 0 }
  const write = (text: string): void => {
    written += text
  }
  const out = { isTTY, columns: 120, write }
  return { shown: new ProgressView(out, () => clock.ms), text: () => written, clock }
}

describe('ProgressView', () => {
  it('writes plain lines where no terminal is: at the beginning, every five seconds, and at the end', () => {
    const { shown, text, clock } = view(false)
    for (; clock.ms <= 12_000; clock.ms += 100) shown.update('embed', clock.ms / 100, 120, 'batches')
    expect(text().split('\n')).toEqual([
      '  embed      0/120 batches',
      '  embed      50/120 batches      10.0/s     7.0 s left',
      '  embed      100/120 batches     10.0/s     2.0 s left',
      '  embed      120/120 batches     10.0/s     in 12 s',
      '',
    ])
  })

  it('redraws one line a stage on a terminal, with a bar', () => {
    const { shown, text, clock } = view(true)
    shown.update('import', 5, 10, 'pages')
    clock.ms = 1_000
    shown.update('import', 10, 10, 'pages')
    shown.update('embed', 1, 4, 'batches')
    expect(text()).toContain('\x1b[1A\x1b[0J')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are taken off
    const plain = text().replace(/\x1b\[[0-9;]*[A-Za-z]/g, '')
    expect(plain).toContain(`import     ${'█'.repeat(12)}${'·'.repeat(12)}  5/10 pages`)
    expect(plain).toContain(`import     ${'█'.repeat(24)}  10/10 pages         10.0/s     in 1.0 s`)
  })

  it('shows the time left that the worker says rather than one worked out from the rate', () => {
    const { shown, text, clock } = view(false)
    shown.update('cluster', 0, 100, 'percent')
    clock.ms = 6_000
    shown.update('cluster', 60, 100, 'percent', 25)
    expect(text().split('\n')[1]).toContain('25 s left')
  })

  it('puts notes above the bars', () => {
    const { shown, text } = view(true)
    shown.update('embed', 1, 4, 'batches')
    shown.note('tagger ended')
    expect(text()).toContain('\x1b[1A\x1b[0Jtagger ended\n  embed')
  })

  it('never counts back when reports overtake each other', () => {
    const { shown, text, clock } = view(false)
    shown.update('embed', 40, 100, 'pages')
    clock.ms = 6_000
    shown.update('embed', 30, 100, 'pages')
    expect(text()).toMatch(/40\/100 pages.*\n.*40\/100 pages/)
  })

  it('takes no notice of what comes after the end of a stage', () => {
    const { shown, text } = view(false)
    shown.update('label', 4, 4, 'batches')
    const before = text()
    shown.update('label', 3, 4, 'batches')
    shown.finish('label')
    expect(text()).toBe(before)
  })

  it.each([
    [0.44, '0.4 s'],
    [59.4, '59 s'],
    [185, '3 min 05 s'],
  ])('says %s s as %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text)
  })
})
