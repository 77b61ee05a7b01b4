import fc from 'fast-check'
import { expect, it } from 'vitest'
import { retryAfter } from './chat-client.ts'
import { parseReply, UnreadableReply } from './parse-reply.ts'
import { costUsd, parsePrices } from './prices.ts'

it.each([
  ['strict JSON', '{"tags": ["sailing", "boats"]}'],
  ['a bare list', '["sailing", "boats"]'],
  ['objects with labels', '{"tags": [{"label": "sailing"}, {"label": "boats"}]}'],
  ['a code fence in prose', 'Of course:\n```json\n{"tags": ["sailing", "boats"]}\n```\nBye'],
  ['a missing end', '{"tags": ["sailing", "boats", "harb'],
  ['a missing bracket', '{"tags": ["sailing", "boats"'],
  ['after thoughts', '<think>Perhaps {"tags": ["x"]} or [y]? No.</think>\n{"tags": ["sailing", "boats"]}'],
  ['after thoughts whose beginning the template has', 'so {"tags": ["x"]}\n</think>```json\n["sailing", "boats"]\n```'],
  ['beside answers that are none', '{"tags": ["N/A", "sailing", "Unknown", "misc", "none", "boats", "tags"]}'],
  ['between marks that nobody sees', '{"tags": ["\u200Fsailing\u200E", "\uFEFFbo\u00ADats", "sail\u200Bing"]}'],
  ['over two lines', '{"tags": ["\\nsailing\\n", "boats"]}'],
  ['decoration', '{"tags": ["#sailing", " boats. ", "boats"]}'],
])('reads labels from %s', (_, content) => {
  expect(parseReply(content)).toEqual(['sailing', 'boats'])
})

it.each([
  ['nothing', ''],
  ['prose', 'I cannot do that'],
  ['numbers', '{"tags": [1, 2]}'],
  ['too many', JSON.stringify({ tags: Array.from({ length: 51 }, (_, k) => `tag ${k}`) })],
  ['sentences', '{"tags": ["this is a whole sentence and not a tag at all"]}'],
  ['thoughts without an end', '<think>it could be {"tags": ["x"]} but'],
  ['no answer', '{"tags": ["N/A"]}'],
  ['a label of 300 characters', JSON.stringify({ tags: ['x'.repeat(300)] })],
  ['emoji alone', '{"tags": ["🚀"]}'],
  ['broken characters', '{"tags": ["a\uFFFDb"]}'],
  ['markup', '{"tags": ["<script>alert(1)</script>"]}'],
  ['another object', '{"labels": ["x"]}'],
])('refuses %s', (_, content) => {
  expect(() => parseReply(content)).toThrow(UnreadableReply)
})

it.each([
  ['spaces', ' '],
  ['dots', '.'],
  ['joiners', '\u200D'],
])('takes no time for a label of a hundred thousand %s', (_, mark) => {
  const began = performance.now()
  const labels = [`a${mark.repeat(100_000)}b`, 'sailing']
  expect(parseReply(JSON.stringify({ tags: labels }))).toEqual(['sailing'])
  // By the square of its length it was eight seconds.
  expect(performance.now() - began).toBeLessThan(1_000)
})

it('keeps the joiners that a spelling needs, and letters of any script', () => {
  const labels = ['می\u200Cخواهم', 'क्\u200Dष', 'مرحبا', 'आहार', 'C++', '.NET', 'データベース']
  expect(parseReply(JSON.stringify({ tags: labels }))).toEqual(labels)
})

it('gives labels or says that it cannot, whatever the reply', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.string().map((s) => `{"tags": ["${s}`),
      ),
      (content) => {
        try {
          for (const label of parseReply(content)) expect(label).toMatch(/[\p{L}\p{N}]/u)
        } catch (error) {
          expect(error).toBeInstanceOf(UnreadableReply)
        }
      },
    ),
  )
})

it('reads Retry-After in seconds and as a date', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  expect(retryAfter('7', now)).toBe(7000)
  expect(retryAfter('Thu, 01 Jan 2026 00:00:30 GMT', now)).toBe(30_000)
  expect(retryAfter('soon', now)).toBeUndefined()
  expect(retryAfter(null, now)).toBeUndefined()
})

it('computes cost by the price table and says what is wrong with one', () => {
  expect(costUsd(parsePrices('{"m":{"in":0.5,"out":2}}').get('m'), 1_000_000, 500_000)).toBe(1.5)
  expect(costUsd(undefined, 1_000_000, 1)).toBe(0)
  expect(() => parsePrices('{"m": 3}')).toThrow('LLM_PRICES has 3 for m, expected')
  expect(() => parsePrices('{')).toThrow('LLM_PRICES is not JSON')
})
