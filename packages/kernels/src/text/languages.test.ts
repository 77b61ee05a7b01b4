import { describe, expect, it } from 'vitest'
import { PhraseCounts } from '../tagging/phrase-counts.ts'
import { pageFields } from './page-fields.ts'
import { languageOfPages, pagePhrases } from './phrases.ts'

type Pages = readonly (readonly [title: string, text: string])[]

/** Of each language four pages on baking bread and four on mending bicycles. */
const wikis: Record<string, readonly [bread: Pages, bicycles: Pages]> = {
  deu: [
    [
      [
        'Brot backen',
        'Der Sauerteig muss über Nacht ruhen, damit das Brot locker wird. Für den Sauerteig braucht man Roggenmehl und Wasser.',
      ],
      [
        'Sauerteig ansetzen',
        'Ein Sauerteig entsteht aus Roggenmehl und Wasser. Nach fünf Tagen ist der Sauerteig reif.',
      ],
      ['Brötchen', 'Die Brötchen werden mit Hefe und Weizenmehl gebacken. Die Hefe treibt den Teig.'],
      ['Roggenbrot', 'Das Roggenbrot wird mit Sauerteig gebacken und nicht mit Hefe.'],
    ],
    [
      [
        'Fahrrad reparieren',
        'Die Kette des Fahrrads wird mit Öl gepflegt. Ein platter Reifen wird mit einem Flicken repariert.',
      ],
      ['Kette wechseln', 'Wenn die Kette verschlissen ist, wird sie gewechselt. Dazu braucht man einen Kettennieter.'],
      ['Reifen flicken', 'Der Reifen wird von der Felge gehoben und der Schlauch geflickt.'],
      ['Bremsen einstellen', 'Die Bremsen des Fahrrads werden mit einer Schraube eingestellt.'],
    ],
  ],
  fra: [
    [
      [
        'La pâte à pain',
        'Le levain donne au pain son goût. On pétrit la pâte pendant dix minutes avec de la farine de blé.',
      ],
      ['Le levain', 'Le levain se nourrit de farine de blé et d’eau chaque jour.'],
      ['La baguette', 'La baguette est un pain à la croûte dorée, faite de farine de blé.'],
      ['Le four à pain', 'Le four à pain doit être très chaud avant que la pâte y soit mise.'],
    ],
    [
      ['Le vélo', 'Le vélo a une chaîne et deux pneus. La chaîne du vélo doit être graissée.'],
      ['Changer un pneu', 'Le pneu du vélo est changé avec des démonte-pneus.'],
      ['La chaîne', 'La chaîne s’use et il faut la remplacer avec un outil.'],
      ['Les freins', 'Les freins du vélo sont réglés avec une vis.'],
    ],
  ],
  rus: [
    [
      ['Закваска', 'Закваска для хлеба готовится из ржаной муки и воды. Закваска стоит в тепле пять дней.'],
      ['Ржаной хлеб', 'Ржаной хлеб пекут на закваске из ржаной муки.'],
      ['Дрожжи', 'Дрожжи поднимают тесто за один час. Хлеб на дрожжах мягкий.'],
      ['Тесто', 'Тесто для хлеба месят десять минут и оставляют в тепле.'],
    ],
    [
      ['Велосипед', 'Цепь велосипеда смазывают маслом. Шины велосипеда накачивают насосом.'],
      ['Цепь', 'Изношенную цепь велосипеда меняют на новую.'],
      ['Шины', 'Проколотые шины велосипеда заклеивают.'],
      ['Тормоза', 'Тормоза велосипеда настраивают винтом.'],
    ],
  ],
  zho: [
    [
      ['酵母面包', '面包的面团需要发酵一夜。酵母让面团变得松软。'],
      ['天然酵母', '天然酵母由面粉和水制成，需要五天。'],
      ['全麦面包', '全麦面包用全麦面粉和天然酵母制作。'],
      ['面团', '面团要揉十分钟，然后在温暖的地方发酵。'],
    ],
    [
      ['自行车链条', '自行车的链条需要润滑油。磨损的链条应该更换。'],
      ['自行车轮胎', '自行车的轮胎被扎破以后可以修补。'],
      ['刹车', '自行车的刹车用螺丝调整。'],
      ['链条更换', '更换链条需要专用工具。'],
    ],
  ],
  jpn: [
    [
      ['パン生地', 'パン生地は一晩発酵させます。酵母がパン生地を膨らませます。'],
      ['天然酵母', '天然酵母は小麦粉と水から作ります。'],
      ['ライ麦パン', 'ライ麦パンは天然酵母で焼きます。'],
      ['発酵', 'パン生地の発酵は暖かい場所で行います。'],
    ],
    [
      ['自転車のチェーン', '自転車のチェーンには油をさします。古いチェーンは交換します。'],
      ['タイヤの修理', '自転車のタイヤがパンクしたら修理します。'],
      ['ブレーキ', '自転車のブレーキはねじで調整します。'],
      ['チェーン交換', 'チェーン交換には工具が必要です。'],
    ],
  ],
  ara: [
    [
      ['خبز الخميرة', 'الخميرة تجعل العجين طريا. يحتاج العجين إلى الدقيق والماء.'],
      ['العجين', 'يترك العجين في مكان دافئ حتى يتخمر.'],
      ['الخميرة الطبيعية', 'الخميرة الطبيعية تصنع من الدقيق والماء في خمسة أيام.'],
      ['خبز القمح', 'خبز القمح يصنع من دقيق القمح و الخميرة الطبيعية.'],
    ],
    [
      ['الدراجة', 'سلسلة الدراجة تحتاج إلى الزيت. إطار الدراجة يحتاج إلى الهواء.'],
      ['سلسلة الدراجة', 'تستبدل سلسلة الدراجة عندما تتآكل.'],
      ['إطار الدراجة', 'يصلح إطار الدراجة المثقوب.'],
      ['الفرامل', 'تضبط فرامل الدراجة بمسمار.'],
    ],
  ],
}

/** What the two parts of a wiki are found to be about, best first. */
function topicsOf(wiki: readonly [Pages, Pages]): { language: string | undefined; labels: string[][] } {
  const pages = wiki.flatMap((of, no) => of.map(([title, text]) => ({ fields: pageFields(title, text), no })))
  const language = languageOfPages(pages.map(({ fields }) => fields))
  const counts = new PhraseCounts([
    { no: 0, layer: 0 },
    { no: 1, layer: 0 },
  ])
  for (const { fields, no } of pages) counts.addPage(pagePhrases(fields, language).phrases, [no])
  return { language, labels: [0, 1].map((no) => counts.keyphrases(no, 10).map(({ label }) => label)) }
}

describe('keyphrases of small wikis', () => {
  it.each([
    ['deu', ['Sauerteig', 'Hefe'], ['Kette', 'Reifen']],
    ['fra', ['levain', 'farine de blé'], ['vélo', 'chaîne']],
    ['rus', ['хлеб', 'тесто'], ['цепь велосипеда']],
    ['zho', ['天然酵母', '面团'], ['自行车']],
    ['jpn', ['天然酵母', 'パン生地'], ['自転車', 'チェーン']],
    ['ara', ['الخميرة الطبيعية', 'العجين'], ['سلسلة الدراجة']],
  ])('in %s name both of their topics by their own words', (language, bread, bicycles) => {
    const found = topicsOf(wikis[language]!)
    expect(found.language).toBe(language)
    expect(found.labels[0]).toEqual(expect.arrayContaining(bread))
    expect(found.labels[1]).toEqual(expect.arrayContaining(bicycles))
    expect(found.labels[0]!.filter((label) => found.labels[1]!.includes(label))).toEqual([])
  })

  it('of blocks of code and of numbers are none, on however many pages they stand', () => {
    const code =
      '```c\nint add(int a, int b) { return a + b; }\n```\n\n    int sum = add(1, 2);\n\nSee `sum == null && total > 3`.'
    const numbers = '100 200 3.14 4e5 0xff 2023-01-02 10:22 12% v1.2.3\n\n| 1 | 42 |\n|---|---|\n| 7 | 3.5 |'
    const onFour = (text: string): Pages => ['2021', '2022', 'v1.2', '404'].map((title) => [title, text])
    expect(topicsOf([onFour(code), onFour(numbers)]).labels).toEqual([[], []])
  })
})
