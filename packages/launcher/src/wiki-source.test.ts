import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { demoWiki } from './demo-wiki.ts'
import { type WikiSource, wikiAt } from './wiki-source.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wiki-source-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function put(path: string, content: string | Uint8Array): void {
  const file = join(folder, path)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, content)
}

async function pages(source: WikiSource): Promise<{ id: string; title: string }[]> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source.lines()) chunks.push(chunk)
  const lines = Buffer.concat(chunks).toString().trimEnd().split('\n')
  return lines.filter(Boolean).map((line) => JSON.parse(line))
}

describe('a folder as a wiki', () => {
  it('is its Markdown files by relative path, the same every time', async () => {
    put('b.md', '# B')
    put('a/deep/Ä.markdown', 'no heading')
    put('.hidden/x.md', '# no')
    put('node_modules/p/readme.md', '# no')
    put('image.png', 'no')
    symlinkSync(folder, join(folder, 'loop'))
    const source = await wikiAt(folder, 'mine')
    expect(source).toMatchObject({ name: 'mine', pageCount: 2 })
    expect((await pages(source)).map(({ id, title }) => [id, title])).toEqual([
      ['a/deep/Ä.markdown', 'Ä'],
      ['b.md', 'B'],
    ])
    expect(await pages(source)).toEqual(await pages(source))
  })

  it('sends a file that cannot be read as its id alone, so that the import rejects it, and says why', async () => {
    put('a.md', Buffer.from([0x23, 0x20, 0xff, 0xfe]))
    put('b.md', '# B')
    writeFileSync(Buffer.concat([Buffer.from(join(folder, 'c')), Buffer.from([0xff]), Buffer.from('.md')]), '# C')
    const source = await wikiAt(folder)
    const [first, second, third] = await pages(source)
    expect(first).toEqual({ id: 'a.md' })
    expect(second).toMatchObject({ id: 'b.md', title: 'B' })
    expect(Object.keys(third!)).toEqual(['id'])
    expect([1, 2, 3].map((line) => source.reasonOnLine(line))).toEqual([
      expect.stringMatching(/neither UTF-8 nor UTF-16: convert it/),
      undefined,
      expect.stringMatching(/its name is no UTF-8: rename it/),
    ])
    expect(source.pageOnLine(1)).toBe('a.md')
  })

  it('reads UTF-16 that has its byte order mark', async () => {
    const text = Buffer.from('\uFEFF# Größe\n\nstraße', 'utf16le')
    put('le.md', text)
    put('be.md', Buffer.from(text).swap16())
    expect(await pages(await wikiAt(folder))).toMatchObject([{ title: 'Größe' }, { title: 'Größe' }])
  })

  it('leaves out a file that is longer than any page without reading it', async () => {
    put('long.md', '')
    truncateSync(join(folder, 'long.md'), 3_000_000_000)
    const source = await wikiAt(folder)
    await pages(source)
    expect(source.reasonOnLine(1)).toMatch(/3000000000 bytes, and a page 10000000 characters at most: split it/)
  })

  it('names the links that it passes over, and the pages whose front matter is lost', async () => {
    put('a.md', '---\ntitle: A\ntitle: B\n---\ntext')
    symlinkSync('a.md', join(folder, 'again.md'))
    symlinkSync('.', join(folder, 'self'))
    symlinkSync('nowhere', join(folder, 'image.png'))
    const source = await wikiAt(folder)
    for (let time = 0; time < 2; time++) {
      await pages(source)
      expect(source.notes).toEqual([
        'passed over, since only plain files are read: again.md, self',
        expect.stringMatching(
          /^a\.md: its front matter is taken as text, since it is no YAML: Map keys must be unique/,
        ),
      ])
    }
  })

  it('is refused when it does not exist, holds no Markdown, or is neither folder nor .ndjson', async () => {
    await expect(wikiAt(join(folder, 'missing'))).rejects.toThrow(/missing there is nothing/)
    await expect(wikiAt(folder)).rejects.toThrow(/holds no Markdown/)
    put('page.txt', 'x')
    await expect(wikiAt(join(folder, 'page.txt'))).rejects.toThrow(/ends in \.ndjson/)
    put('empty.ndjson', '')
    await expect(wikiAt(join(folder, 'empty.ndjson'))).rejects.toThrow(/is empty/)
  })

  it('has another name than a folder of the same name elsewhere', async () => {
    put('one/docs/a.md', '# A')
    put('two/docs/a.md', '# A')
    const [one, two] = await Promise.all([wikiAt(join(folder, 'one/docs')), wikiAt(join(folder, 'two/docs'))])
    expect(one.name).not.toBe(two.name)
  })
})

describe('an .ndjson file as a wiki', () => {
  it('goes to the gateway byte by byte, with the place of each line', async () => {
    put('w.ndjson', '{"id":"1","title":"T","text":""}\nbroken\n')
    const source = await wikiAt(join(folder, 'w.ndjson'))
    let sent = ''
    for await (const chunk of source.lines()) sent += Buffer.from(chunk).toString()
    expect(sent).toBe('{"id":"1","title":"T","text":""}\nbroken\n')
    expect(source.pageOnLine(2)).toBe(`${join(folder, 'w.ndjson')}:2`)
  })
})

describe('the demo wiki', () => {
  it('is READMEs and docs folders of each package once, without changelogs and copies', async () => {
    const store = '.pnpm'
    put(`${store}/one@1.0.0/node_modules/one/README.md`, 'old')
    put(`${store}/one@2.0.0/node_modules/one/README.md`, 'no heading')
    put(`${store}/one@2.0.0/node_modules/one/docs/guide/use.md`, '# Use')
    put(`${store}/one@2.0.0/node_modules/one/docs/CHANGELOG.md`, '# Changes')
    put(`${store}/one@2.0.0/node_modules/one/src/notes.md`, '# Notes')
    put(`${store}/@s+two@1.0.0/node_modules/@s/two/readme.md`, '# Two')
    put(`${store}/three@1.0.0/node_modules/three/README.md`, '# Two')
    symlinkSync(join(folder, store, 'one@1.0.0/node_modules/one'), join(folder, store, 'three@1.0.0/node_modules/one'))
    const source = await demoWiki(folder)
    expect((await pages(source)).map(({ id, title }) => [id, title])).toEqual([
      ['@s/two/readme.md', 'Two'],
      ['one/README.md', 'one'],
      ['one/docs/guide/use.md', 'Use'],
    ])
  })

  it('has at least 300 pages of this very install', async () => {
    const source = await demoWiki(join(import.meta.dirname, '..', '..', '..', 'node_modules'))
    expect(source.pageCount).toBeGreaterThanOrEqual(300)
  })

  it('says so when nothing is installed', async () => {
    await expect(demoWiki(folder)).rejects.toThrow(/found none/)
  })
})
