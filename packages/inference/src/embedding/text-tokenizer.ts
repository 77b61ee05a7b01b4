import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Tokenizer } from '@huggingface/tokenizers'
import { ModelRefused } from '../models/model-refused.ts'
import type { ModelSpec } from './model-spec.ts'

/** No token of a model is longer than this in the mean of a text that has an end worth looking for, in UTF-16 units. */
const MOST_CHARS_A_TOKEN = 16
/** A text is tokenised this far for each token that is wanted; prose takes four to five characters a token. */
const CHARS_A_TOKEN = 6
/** Tokens beyond those that are wanted, so that none of these is the work of where the text was cut. */
const MARGIN = 16

/** Texts as the token ids of one model. */
export class TextTokenizer {
  #tokenizer: Tokenizer
  #spec: ModelSpec
  #unknown: number | undefined
  #before: number[]
  #after: number[]

  constructor(tokenizer: Tokenizer, spec: ModelSpec, unknown: number | undefined) {
    this.#tokenizer = tokenizer
    this.#spec = spec
    this.#unknown = unknown
    ;[this.#before, this.#after] = specialTokens(tokenizer)
  }

  /** Token ids of a text with the special ones around them, `limit` and what the model takes at most. */
  tokenize(text: string, limit = this.#spec.maxTokens): number[] {
    const room = Math.max(0, Math.min(limit, this.#spec.maxTokens) - this.#before.length - this.#after.length)
    return [...this.#before, ...this.#first(text, room), ...this.#after]
  }

  /** Whether half or more of these tokens, past those of a prefix, are none of the model's words: their vector tells nothing. */
  cannotRead(ids: readonly number[], prefix: readonly number[]): boolean {
    if (this.#unknown === undefined) return false
    const own = ids.length - prefix.length
    return 2 * ids.filter((id) => id === this.#unknown).length >= Math.max(1, own)
  }

  /** Characters a token takes in this sample, for windows that fit its script. */
  charsPerToken(sample: string): number {
    return sample.length / Math.max(1, this.#ids(sample).length)
  }

  /** The first ids of a text. Most texts are longer than what is wanted of them, and tokenising costs more than pooling. */
  #first(text: string, wanted: number): number[] {
    const bounded = text.slice(0, this.#spec.maxTokens * MOST_CHARS_A_TOKEN).toWellFormed()
    for (let chars = CHARS_A_TOKEN * (wanted + MARGIN); chars < bounded.length; chars *= 2) {
      const end = lastGap(bounded, chars)
      if (end === undefined) break
      const ids = this.#ids(bounded.slice(0, end))
      if (ids.length >= wanted + MARGIN) return ids.slice(0, wanted)
    }
    return this.#ids(bounded).slice(0, wanted)
  }

  #ids(text: string): number[] {
    const cleaned = this.#spec.lowerCase ? text.toLowerCase() : text
    return this.#tokenizer.encode(cleaned, { add_special_tokens: false }).ids
  }
}

/** Where the last white space in the second half of the first `chars` begins: no token goes across it. */
function lastGap(text: string, chars: number): number | undefined {
  for (let at = chars; at > chars / 2; at--) if (/\s/.test(text[at]!) && /\S/.test(text[at - 1]!)) return at
  return undefined
}

/** @throws ModelRefused where the model's `tokenizer.json` is none */
export async function openTokenizer(spec: ModelSpec): Promise<TextTokenizer> {
  const { folder } = spec
  const json = await readFile(join(folder, 'tokenizer.json'), 'utf8')
  const config = await readFile(join(folder, 'tokenizer_config.json'), 'utf8').then(JSON.parse, () => ({}))
  try {
    const read = JSON.parse(json) as object
    return new TextTokenizer(new Tokenizer(read, config), spec, unknownToken(read))
  } catch (cause) {
    throw new ModelRefused(`${folder}/tokenizer.json is none that fits: ${(cause as Error).message}`, { cause })
  }
}

/** The id that stands for whatever the tokeniser has no piece for; undefined for those that have pieces for all bytes. */
function unknownToken(tokenizer: object): number | undefined {
  const { model } = tokenizer as { model?: { unk_id?: unknown; unk_token?: unknown; vocab?: unknown } }
  if (typeof model?.unk_id === 'number') return model.unk_id
  if (typeof model?.unk_token !== 'string' || Array.isArray(model.vocab)) return undefined
  const id = (model.vocab as Record<string, unknown> | undefined)?.[model.unk_token]
  return typeof id === 'number' ? id : undefined
}

/** What the tokeniser puts before and after a text of its own accord. */
function specialTokens(tokenizer: Tokenizer): [number[], number[]] {
  const bare: number[] = tokenizer.encode('tag', { add_special_tokens: false }).ids
  const full: number[] = tokenizer.encode('tag').ids
  const at = full.findIndex((_, i) => bare.every((id, k) => full[i + k] === id))
  if (at < 0) throw new Error(`with special tokens "tag" is ${full}, which does not hold ${bare}`)
  return [full.slice(0, at), full.slice(at + bare.length)]
}
