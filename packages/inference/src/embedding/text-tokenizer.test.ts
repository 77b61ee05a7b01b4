import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer } from '@huggingface/tokenizers'
import { describe, expect, it } from 'vitest'
import type { ModelSpec } from './model-spec.ts'
import { TextTokenizer } from './text-tokenizer.ts'

const BUNDLED = join(import.meta.dirname, '../../../../models/all-MiniLM-L6-v2')
const read = (name: string): object => JSON.parse(readFileSync(join(BUNDLED, name), 'utf8')) as object

/** One piece for each byte, and some that begin with a space, as GPT-2's are. */
const byteLevel = {
  added_tokens: [{ id: 0, content: '<s>', special: true }],
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  normalizer: null,
  decoder: { type: 'ByteLevel' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    special_tokens: { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } },
  },
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(
      ['<s>', ...byteCharacters(), 'th', 'Ġa', 'in', 'Ġth', 'Ġin'].map((piece, id) => [piece, id]),
    ),
    merges: [
      ['t', 'h'],
      ['Ġ', 'a'],
      ['i', 'n'],
      ['Ġ', 'th'],
      ['Ġ', 'in'],
    ],
  },
}

/** The characters that stand for the 256 bytes in byte-level vocabularies. */
function byteCharacters(): string[] {
  const shown = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(shown(byte) ? byte : next++))
}

const texts = [
  'In a world of things, the printing press came first: see `eth_getLogs(0x00ff)` and https://example.org/a/b?c=d. '.repeat(
    90,
  ),
  `${'word '.repeat(40)}${'x'.repeat(3_000)} ${'after the long one '.repeat(200)}`,
  'Gutenberg’s naïve café — “quoted” … 印刷 術 是 最重要 的  發明\t之一。\n\nتاريخ الطباعة 🚀 e\u0301tude\u00a0z. '.repeat(
    60,
  ),
  '   \n\n\t  '.repeat(300).concat('a the in '.repeat(500)),
  '印刷術是歷史上最重要的發明之一'.repeat(100),
  // A word of over a hundred characters is one unknown token to WordPiece, and many tokens where it is cut.
  `${'international '.repeat(10)}${'0a1b2c3d4e'.repeat(13)} ${'international '.repeat(40)}`,
  'short one',
  '',
]

describe.each([
  ['a WordPiece tokenizer', new Tokenizer(read('tokenizer.json'), read('tokenizer_config.json'))],
  ['a byte-level BPE tokenizer', new Tokenizer(byteLevel, {})],
])('the first tokens of a text, by %s', (_, tokenizer) => {
  const spec = { maxTokens: 100_000, lowerCase: false } as ModelSpec
  const encoder = new TextTokenizer(tokenizer, spec, undefined)

  it('are those of the whole text, however far it is read', () => {
    for (const text of texts) {
      const whole: number[] = tokenizer.encode(text).ids
      for (const limit of [1, 2, 3, 16, 22, 64, 256, 1_000]) {
        const first = encoder.tokenize(text, limit)
        const special = encoder.tokenize('', limit).length
        expect(first.length).toBe(Math.max(special, Math.min(limit, whole.length)))
        const before = tokenizer.encode('').ids.length > 1 && first.length < whole.length ? first.slice(0, -1) : first
        if (limit > special) expect(before).toEqual(whole.slice(0, before.length))
      }
    }
  })
})

describe('a text of unknown words', () => {
  const tokenizer = new Tokenizer(read('tokenizer.json'), read('tokenizer_config.json'))
  const unknown: number = tokenizer.encode('อาหาร', { add_special_tokens: false }).ids[0]!
  const encoder = new TextTokenizer(tokenizer, { maxTokens: 256, lowerCase: false } as ModelSpec, unknown)

  it('is one of which half is unknown, whatever known words its prefix has', () => {
    const prefix = encoder.tokenize('passage about: ')
    const cannot = (text: string) => encoder.cannotRead(encoder.tokenize(`passage about: ${text}`), prefix)
    expect(['อาหาร', 'ไทย printing', 'the history of ไทย', ''].map(cannot)).toEqual([true, true, false, false])
  })
})
