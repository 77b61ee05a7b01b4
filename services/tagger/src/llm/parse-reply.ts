import { withoutInvisible } from './visible-text.ts'

/** The answer cannot be read as labels. */
export class UnreadableReply extends Error {
  readonly code = 'unreadable_reply'
  override readonly name = 'UnreadableReply'
}

/** What a reply is to be: sent to servers that can be bound to it, and held against every reply. */
export const replySchema = {
  type: 'object',
  properties: { tags: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 20 } },
  required: ['tags'],
  additionalProperties: false,
} as const

const MOST_LABELS = 50
const LONGEST_LABEL = 60
const MOST_WORDS = 6
/** Characters of what may become a label once marks and spaces are taken off: some of the patterns below take the square of it. */
const MOST_CLEANED = 500

/**
 * Labels of a reply: read strictly as `{"tags": ["…"]}`; when that fails, once more with what usually surrounds or cuts it taken into
 * account (thoughts, prose, a code fence, a bare list, a missing end).
 * @throws UnreadableReply
 */
export function parseReply(content: string): string[] {
  const labels = strictly(content) ?? repaired(withoutThoughts(content))
  if (!labels) throw new UnreadableReply(`expected {"tags": [...]}, got ${describe(content)}`)
  if (labels.length > MOST_LABELS)
    throw new UnreadableReply(`expected at most ${MOST_LABELS} tags, got ${labels.length}`)
  const kept = [...new Set(labels.map(cleaned).filter((label) => label !== undefined))]
  if (kept.length === 0) throw new UnreadableReply(`none of the ${labels.length} tags can be one`)
  return kept
}

const strictly = (content: string): string[] | undefined => labelsOf(parsed(content))

function labelsOf(value: unknown): string[] | undefined {
  const list = Array.isArray(value) ? value : (value as { tags?: unknown } | null | undefined)?.tags
  if (!Array.isArray(list) || list.length === 0) return undefined
  const labels = list.map((item) => (typeof item === 'string' ? item : (item as { label?: unknown } | null)?.label))
  return labels.every((label) => typeof label === 'string') ? (labels as string[]) : undefined
}

/** Models that think before they answer put that before it; what they weigh there may look like an answer. */
const withoutThoughts = (content: string): string =>
  content.replace(/^[\s\S]*<\/(think|thinking|reasoning)>|^\s*<(think|thinking|reasoning)>[\s\S]*$/, '')

function repaired(content: string): string[] | undefined {
  const from = content.search(/[[{]/)
  if (from < 0) return undefined
  const rest = content.slice(from)
  const end = Math.max(rest.lastIndexOf('}'), rest.lastIndexOf(']'))
  return labelsOf(parsed(rest.slice(0, end + 1))) ?? labelsOf(parsed(closed(rest)))
}

/** Cut text, closed after its last whole string: `{"tags": ["a", "b` becomes `{"tags": ["a"]}`. */
function closed(text: string): string {
  const { open, inString } = unclosed(text)
  if (!inString) return text + open
  const whole = text.slice(0, text.lastIndexOf('",') + 1)
  return whole + unclosed(whole).open
}

/** The brackets that a text leaves open, as what would close them. */
function unclosed(text: string): { open: string; inString: boolean } {
  const open: string[] = []
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const c = text[at]!
    if (inString) {
      if (c === '\\') at++
      else if (c === '"') inString = false
    } else if (c === '"') inString = true
    else if (c === '{' || c === '[') open.push(c === '{' ? '}' : ']')
    else if (c === '}' || c === ']') open.pop()
  }
  return { open: open.reverse().join(''), inString }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What models say where they have no tag to give. */
const NO_ANSWER =
  /^(?:n\/?a|none|null|nil|undefined|unknown|unclear|misc(?:ellaneous)?|various|other|others|general|generic|tags?|labels?|topics?|untagged|uncategori[sz]ed|no tags?|not applicable)$/i

/** Whether a model that is shown the label can answer with it. */
export const isLabel = (label: string): boolean => cleaned(label) !== undefined

/** A label as a tag may be; undefined for what can be none (empty, a sentence, an address, markup, broken characters, "N/A"). */
function cleaned(label: string): string | undefined {
  if (label.length > MOST_CLEANED) return undefined
  const plain = withoutInvisible(label.normalize('NFC'))
    .replace(/[\t\r\n\v\f]/g, ' ')
    .replace(/^[\s#"'`*-]+|[\s"'`*.,;:]+$/g, '')
    .replace(/\s+/g, ' ')
  const bad =
    plain === '' ||
    plain.length > LONGEST_LABEL ||
    plain.split(' ').length > MOST_WORDS ||
    NO_ANSWER.test(plain) ||
    /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\uFFFD<>{}[\]\\|]|:\/\//u.test(plain) ||
    !/[\p{L}\p{N}]/u.test(plain)
  return bad ? undefined : plain
}

const describe = (content: string): string =>
  content.trim() === ''
    ? 'nothing'
    : `${content.length} characters of ${/^\s*[[{]/.test(content) ? 'other JSON or a part of it' : 'text'}`
