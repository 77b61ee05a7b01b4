import { describe, expect, it } from 'vitest'
import { pageFields } from './page-fields.ts'
import { languageOfPages, pagePhrases } from './phrases.ts'
import { detectLanguage } from './stop-words.ts'
import { wordRuns } from './words.ts'

const runs = (text: string) => [...wordRuns(text)].map((run) => run.words.join('|'))
const surfaces = (title: string, text: string) =>
  new Set([...pagePhrases(pageFields(title, text)).phrases.values()].map(({ surface }) => surface))

describe('page fields', () => {
  it('part title, headings, links and body, and leave code, addresses and markup out', () => {
    const fields = pageFields(
      'Sockets',
      [
        '# Sockets',
        'Open a **socket** with [the client](https://a.example/b) and `socket.connect`, see https://c.example/d.',
        '```js',
        'const hidden = 1',
        '```',
        '![badge](https://x.example/y.svg) <b>bold</b> &amp; mail me@example.org or @somebody',
        '## License',
        'MIT forever',
        '## Usage notes',
        '    indented code',
        'after',
      ].join('\n'),
    )
    expect(fields.headings).toEqual(['Sockets', 'Usage notes'])
    expect(fields.links).toEqual(['the client'])
    expect(fields.body).toContain('socket.connect')
    for (const left of ['hidden', 'http', 'badge', 'MIT', 'indented', 'example', 'somebody', '<', '*']) {
      expect(fields.body).not.toContain(left)
    }
  })

  it('read MediaWiki headings and links', () => {
    const fields = pageFields(
      'Rome',
      "== History ==\nThe [[Roman Republic|republic]] fell. {{Infobox|x=1}}\n=== Kings ===\n'''Numa'''",
    )
    expect(fields.headings).toEqual(['History', 'Kings'])
    expect(fields.links).toEqual(['republic'])
    expect(fields.body).not.toContain('Infobox')
  })

  it('leave tables, templates in templates, pictures and other languages of MediaWiki out, and take categories as links', () => {
    const fields = pageFields(
      'Rome',
      [
        '[[File:Colosseum.jpg|thumb|right|The arena]] The {{cite|url={{x|y}}|title=z}} city fell.',
        '{| class="wikitable" style="width:50%"',
        '|-',
        '| 476 || Fall of Rome',
        '|}',
        '[[Category:Ancient history|Rome]]',
        '[[de:Rom]]',
      ].join('\n'),
    )
    expect(fields.links).toEqual(['Ancient history'])
    expect(fields.body).toContain('Fall of Rome')
    for (const left of ['thumb', 'arena', 'cite', 'title', 'wikitable', 'width', 'Category', 'de:', 'Rom]']) {
      expect(fields.body).not.toContain(left)
    }
  })

  it.each(['---\ntitle: hidden\n---\n', '\uFEFF---\ntitle: hidden\n---\n', '+++\ntitle = "hidden"\n+++\n'])(
    'leave a front matter out: %j',
    (frontMatter) => {
      expect(pageFields('x', `${frontMatter}shown`).body).toBe('shown')
    },
  )

  it('read lists in lists and lines that go on, and leave out code that is indented', () => {
    const { body } = pageFields(
      'x',
      '- fruit\n    - apple\n\n    more of fruit\n\ntext\n    goes on\n\n    hidden()\n\t- hidden too\n\nend',
    )
    expect(body.split('\n\n')).toEqual(['- fruit', '- apple', 'more of fruit', 'text goes on', 'end'])
  })

  it('end a section that says nothing at the next heading of its level, however headings are written', () => {
    const { body, headings } = pageFields('x', 'License\n-------\nhidden\n\n### Text\nhidden\n\n## Masts\nshown')
    expect([headings, body]).toEqual([['Masts'], 'shown'])
  })

  it('leave entities out of titles, and scopes of packages as they are', () => {
    const fields = pageFields('serializers&nbsp;&nbsp;', 'See @fastify/cookie.')
    expect([fields.title, fields.body]).toEqual(['serializers', 'See @fastify/cookie.'])
  })

  it('leave the names of people behind links out', () => {
    expect(
      pageFields('x', 'By [Ada Lovelace](https://github.com/ada) and [engine](https://github.com/ada/engine)').body,
    ).toBe('By\n\nand engine')
  })

  it.each(['[a](b `c` <d ', '_', '`', '~', '[', 'a.', '-', '0x', 'ab', 'a@', '<script>', '```\n', "'", '{{', '=', '#'])(
    'cost little for megabytes of %j',
    (piece) => {
      const started = performance.now()
      pagePhrases(pageFields('big', piece.repeat(3_000_000 / piece.length)))
      expect(performance.now() - started).toBeLessThan(3_000)
    },
  )

  it.each([' ', '\t'])('cost little for a line of = and %j', (blank) => {
    const started = performance.now()
    // What grows with the square of a line is seen before it would take hours.
    for (const blanks of [3_000, 50_000]) {
      pageFields('big', `text\n\n=${blank.repeat(blanks)}a`)
      expect(performance.now() - started).toBeLessThan(1_000)
    }
  })
})

describe('words', () => {
  it('end a run at punctuation and keep names and identifiers whole', () => {
    expect(runs('The proof-of-work chain, node.js and eth_getLogs. C++ rocks (C# too)')).toEqual([
      'The|proof-of-work|chain',
      'node.js|and|eth_getLogs',
      'C++|rocks',
      'C#|too',
    ])
  })

  it('cut scripts without spaces into words', () => {
    expect(runs('自然語言処理')[0]?.split('|').length).toBeGreaterThan(1)
  })
})

describe('phrases', () => {
  it('begin and end with words that carry a topic, and cross no punctuation', () => {
    const found = surfaces(
      'Proof of stake',
      'The validator of the proof of stake chain. Rewards, penalties and 12 more were paid in 2021.',
    )
    expect(found).toContain('proof of stake')
    expect(found).toContain('stake chain')
    for (const junk of ['the validator', 'Rewards penalties', '2021', 'of stake', 'more', 'penalties and']) {
      expect(found).not.toContain(junk)
    }
  })

  it.each([
    [
      'deu',
      'Die Bestimmung der Umlaufbahn ist nicht einfach, und die Umlaufbahn der Sonde wurde von der Erde aus gemessen.',
      'Umlaufbahn',
      /^(die|der|und|nicht|von|wurde)\b|\b(die|der|und|nicht|von|wurde|ist)$/i,
    ],
    [
      'fra',
      'Le taux de change est fixé par la banque centrale, et le taux de change ne peut pas être modifié sans elle.',
      'taux de change',
      /^(le|la|les|de|et|est|sans|pas|ne|par)\b|\b(le|la|de|et|est|ne|par)$/i,
    ],
    [
      'spa',
      'La base de datos guarda los registros que la aplicación escribe, y la base de datos no se puede borrar sin permiso.',
      'base de datos',
      /^(la|los|que|y|no|se|sin|de)\b|\b(la|los|que|y|no|se|de)$/i,
    ],
    [
      'rus',
      'Протокол консенсуса определяет, как узлы сети и валидаторы принимают блоки, и протокол консенсуса не зависит от них.',
      'Протокол консенсуса',
      /^(и|как|не|от|их)(?=\s|$)|(^|\s)(и|как|не|от|их)$/i,
    ],
  ])('begin and end with no stop word of the language of the page: %s', (_, text, topic, stop) => {
    const found = [...surfaces('', text)]
    expect(found).toContain(topic)
    expect(found.filter((surface) => stop.test(surface))).toEqual([])
  })

  it.each([
    ['', 'Deactivate broken and old applications, the future with Verkle, Increase calldata and reduce fees'],
    [
      'deu',
      'Erde und Mond sind der Sonne nahe, und die Sonde mit Antrieb ist es nicht; das Wetter auf der Erde ist nicht einfach.',
    ],
  ])('join no two things by and or with, and begin with no verb of titles: %s', (_, text) => {
    const found = [...surfaces('', text)]
    expect(found.filter((one) => /\b(?:and|with|und|mit|Increase|Deactivate|broken|reduce)\b/.test(one))).toEqual([])
    expect(found.filter((one) => /applications|Verkle|calldata|fees|Mond|Sonde/.test(one))).not.toEqual([])
  })

  it('keep names and code identifiers as they are written', () => {
    const found = surfaces(
      '',
      'Call eth_getLogs from node.js or C++; useEffect and __proto__ are names, TypeScript is one too.',
    )
    for (const name of ['eth_getLogs', 'node.js', 'C++', 'useEffect', 'TypeScript']) expect(found).toContain(name)
  })

  it('are not joined by prepositions, but for "of"', () => {
    const found = surfaces('', 'The support for SoapySDR in the files on Linux and the proof of stake were read.')
    for (const topic of ['SoapySDR', 'Linux', 'proof of stake']) expect(found).toContain(topic)
    for (const cut of ['support for SoapySDR', 'files on Linux']) expect(found).not.toContain(cut)
  })

  it('keep names of parts of a library whole', () => {
    const found = surfaces('', 'A plugin of Dist::Zilla and a std::vector were made: Test and run.')
    for (const name of ['Dist::Zilla', 'std::vector']) expect(found).toContain(name)
    expect(found).not.toContain('Zilla')
  })

  it('leave out the furniture of pages', () => {
    const found = surfaces(
      'Backwards Compatibility',
      '## Security Considerations\nUsage and Installation of gas tokens',
    )
    expect([...found].filter((surface) => /Compat|Security Cons|^Usage$|^Installation$/.test(surface))).toEqual([])
  })

  it('join words of scripts without spaces as they are written', () => {
    expect(surfaces('机器学习', '机器学习是人工智能的一个分支。')).toContain('机器学习')
  })

  it('begin with no elided article and end with no possessive', () => {
    const french = surfaces(
      '',
      'L’inflation dépend du taux d’intérêt que la banque fixe, et c’est une décision que l’économie attend dans les pays.',
    )
    for (const topic of ['inflation', 'intérêt', "taux d'intérêt", 'économie']) expect(french).toContain(topic)
    for (const junk of ["L'inflation", "d'intérêt", "C'est", "l'économie"]) expect(french).not.toContain(junk)
    const english = surfaces('', "the user's guide of the user's and the O'Brien's of the town")
    for (const topic of ['user', "user's guide", "O'Brien"]) expect(english).toContain(topic)
    expect(english).not.toContain("user's")
  })

  it('weigh the title above the running text', () => {
    const { phrases } = pagePhrases(pageFields('Gas refunds', 'storage storage storage'))
    expect(phrases.get('gas refund')!.weight).toBeGreaterThan(phrases.get('storage')!.weight)
  })
})

describe('language', () => {
  it.each([
    ['eng', 'the cat sat on the mat and it was not amused by the dog that came in'],
    ['deu', 'die Katze saß auf der Matte und sie war nicht erfreut über den Hund, der herein kam'],
    ['fra', "le chat est sur le tapis et il n'est pas content du chien qui est entré dans la maison"],
    ['rus', 'кошка сидела на ковре и была не рада собаке которая вошла в дом как и вчера'],
  ])('is told by stop words: %s', (language, text) => {
    expect(detectLanguage([...wordRuns(text)].flatMap((run) => run.words))).toBe(language)
  })

  it('is not guessed from a few words, nor from one function word among names', () => {
    expect(detectLanguage(['gas', 'limit'])).toBeUndefined()
    expect(detectLanguage('de facto gas limit block state trie node client peer sync proof'.split(' '))).toBeUndefined()
  })

  it('of pages of a title is what the titles say together', () => {
    const titles = ['Die Bestimmung der Umlaufbahn', 'Die Sonde und der Mond', 'Das Wetter auf der Erde'].map((title) =>
      pageFields(title, ''),
    )
    const language = languageOfPages(titles)
    expect(language).toBe('deu')
    expect([...pagePhrases(titles[0]!, language).phrases.keys()]).toEqual([
      'bestimmung',
      'bestimmung der umlaufbahn',
      'umlaufbahn',
    ])
  })
})
