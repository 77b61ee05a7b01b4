import { describe, expect, it } from 'vitest'
import { markdownPage } from './markdown-page.ts'

describe('markdownPage', () => {
  it('takes title and tags from the front matter and leaves it out of the text', () => {
    const page = markdownPage('a/b.md', '---\ntitle: Nebulae\ntags: [stars, "#gas", 7, stars]\n---\n# Other\ntext')
    expect(page).toEqual({ id: 'a/b.md', title: 'Nebulae', text: '# Other\ntext', tags: ['stars', 'gas', '7'] })
  })

  it('takes tags parted by commas', () => {
    expect(markdownPage('x.md', '---\ntags: one, two words ,\n---\n').tags).toEqual(['one', 'two words'])
  })

  it.each([
    ['# Plain', 'Plain'],
    ['Underlined\n=====\ntext', 'Underlined'],
    ['# [![Build](a.svg)](b) `name` *loud* #', 'name loud'],
    ['```sh\n# comment\n```\n# Real', 'Real'],
    ['<h1>only html</h1>', 'file'],
    ['', 'file'],
  ])('finds the title of %j', (text, title) => {
    expect(markdownPage('deep/file.md', text).title).toBe(title)
  })

  it.each([
    ['not YAML', '---\n: : [\n---\ntext'],
    ['no mapping', '---\n- a\n---\ntext'],
    ['never closed', '---\ntitle: x\ntext'],
    ['nested without end', `---\ntitle: ${'['.repeat(20_000)}\n---\ntext`],
    ['longer than people write', `---\n${Array.from({ length: 100_000 }, (_, i) => `k${i}: 1`).join('\n')}\n---\ntext`],
    [
      'a bomb of aliases',
      `---\na: &a [x,x]\n${'bcdefgh'
        .split('')
        .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefgh'[i]}`)}]`)
        .join('\n')}\n---\n`,
    ],
  ])('keeps a front matter that is %s as text', (_what, text) => {
    expect(markdownPage('x.md', text).text).toBe(text)
  })

  it.each([
    ['title: A\ntitle: B', [/no YAML: Map keys must be unique/]],
    [`k: ${'x'.repeat(100_000)}`, [/100003 characters, expected 100000 at most/]],
    [`tags: [a, [b], {c: d}, ${'x'.repeat(201)}]`, [/^3 of its 4 tags were left out/]],
    [`tags: [${Array.from({ length: 250 }, (_, i) => `t${i}`)}]`, [/^50 of its 250 tags were left out/]],
    ['tags: {a: b}', [/^1 of its 1 tags/]],
    ['tags: a, a, , b', []],
    ['tags:', []],
  ])('tells what is lost of the front matter %j', (yaml, expected) => {
    const told: string[] = []
    markdownPage('x.md', `---\n${yaml}\n---\n`, (note) => told.push(note))
    expect(told).toEqual(expected.map((pattern) => expect.stringMatching(pattern)))
  })

  it('reads Windows line ends and a byte order mark', () => {
    expect(markdownPage('x.md', '\uFEFF---\r\ntitle: T\r\n---\r\nbody')).toEqual({
      id: 'x.md',
      title: 'T',
      text: 'body',
    })
  })
})
