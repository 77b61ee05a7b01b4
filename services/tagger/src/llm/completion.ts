import { type ChatAnswer, type ChatRequest, LlmCallFailed } from './chat-model.ts'

/**
 * The answer in a chat completion. One without text (a refusal, a call of a tool, all tokens used up by thinking) is an empty one: the model
 * was asked, and paid for. Tokens that the server doesn't count are estimated: four characters each.
 * @throws LlmCallFailed what came is no completion; what it says it cost goes along
 */
export function readCompletion(text: string, request: ChatRequest): ChatAnswer {
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch {
    throw noCompletion('the answer is no JSON', text)
  }
  const { choices, usage } = (read ?? {}) as { choices?: unknown; usage?: Usage }
  const choice: Choice | undefined = Array.isArray(choices) ? choices[0] : undefined
  const content = choice?.message ? textOf(choice.message.content) : undefined
  const counted = { tokensIn: countOf(usage?.prompt_tokens), tokensOut: countOf(usage?.completion_tokens) }
  if (content === undefined) throw noCompletion('the answer has no choices[0].message', text, counted)
  const sent = request.messages.reduce((sum, message) => sum + message.content.length, 0)
  return {
    content,
    tokensIn: counted.tokensIn ?? Math.ceil(sent / 4),
    tokensOut: counted.tokensOut ?? Math.ceil(content.length / 4),
    cutOff: choice?.finish_reason === 'length',
  }
}

interface Choice {
  readonly message?: { readonly content?: unknown } | null
  readonly finish_reason?: unknown
}

interface Usage {
  readonly prompt_tokens?: unknown
  readonly completion_tokens?: unknown
}

/** Text of a message: a string, or parts of which some are text; nothing is an empty text. */
function textOf(content: unknown): string | undefined {
  if (content === null || content === undefined) return ''
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return undefined
  const texts = content.map((part) => (part as { text?: unknown } | null)?.text)
  return texts.filter((text) => typeof text === 'string').join('')
}

function noCompletion(
  what: string,
  text: string,
  counted: { tokensIn?: number | undefined; tokensOut?: number | undefined } = {},
): LlmCallFailed {
  const { tokensIn, tokensOut } = counted
  return new LlmCallFailed(
    {
      kind: 'failure',
      code: 'not_a_completion',
      retryable: true,
      ...(tokensIn === undefined && tokensOut === undefined
        ? {}
        : { spent: { tokensIn: tokensIn ?? 0, tokensOut: tokensOut ?? 0 } }),
    },
    `${what} (${text.length} characters)`,
  )
}

/** What no call has: a server that claims more cannot count, and would spend a budget with one answer. */
const MOST_TOKENS = 10_000_000

const countOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= MOST_TOKENS ? value : undefined
