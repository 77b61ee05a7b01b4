import { expect, it } from 'vitest'
import { parsePrometheusText } from './prometheus-text.ts'

const gauge = (...samples: string[]) => `# HELP a Help\n# TYPE a gauge\n${samples.join('\n')}\n`

it('reads families with labels, escapes and special values', () => {
  const { a } = Object.fromEntries(parsePrometheusText(gauge('a{b="c\\"\\\\\\n,}",d=""} -1.5e3', 'a +Inf')))
  expect(a?.series).toEqual([
    { name: 'a', labels: { b: 'c"\\\n,}', d: '' }, value: -1500 },
    { name: 'a', labels: {}, value: Number.POSITIVE_INFINITY },
  ])
})

const histogram = (...samples: string[]) => `# HELP a Help\n# TYPE a histogram\n${samples.join('\n')}\n`

it.each([
  ['no end of the last line', gauge('a 1').slice(0, -1)],
  ['a sample without its type', 'a 1\n'],
  ['a type without help', '# TYPE a gauge\na 1\n'],
  ['a family in two places', gauge('a 1') + gauge('a{b="c"} 1')],
  ['a series twice', gauge('a{b="c",d="e"} 1', 'a{d="e",b="c"} 2')],
  ['a label twice', gauge('a{b="c",b="d"} 1')],
  ['a quote that is not escaped', gauge('a{b="c"d"} 1')],
  ['a value that is no number', gauge('a 1s')],
  ['a sample of another family', gauge('ab 1')],
  ['buckets that count down', histogram('a_bucket{le="1"} 2', 'a_bucket{le="+Inf"} 1', 'a_sum 1', 'a_count 1')],
  ['a count that is not the last bucket', histogram('a_bucket{le="+Inf"} 1', 'a_sum 1', 'a_count 2')],
])('refuses %s', (_, text) => {
  expect(() => parsePrometheusText(text)).toThrow()
})
