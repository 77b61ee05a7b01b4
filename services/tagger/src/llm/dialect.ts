import type { ChatRequest } from './chat-model.ts'

/*
 * What servers of one protocol differ in. A call begins with all that is wished for; what a server refuses is left out, or said in its
 * other way, from then on: structured output where there is none (llama.cpp, older Ollama), `max_tokens` and a temperature of nought with
 * models of OpenAI that think first, `seed` at Mistral.
 */

const parameters = ['response_format', 'max_tokens', 'temperature', 'seed'] as const
type Parameter = (typeof parameters)[number]

export class Dialect {
  #refused = new Set<Parameter>()

  /** The parameters of a request, as far as the server takes them. */
  parametersOf({ schema, maxTokens }: Pick<ChatRequest, 'schema' | 'maxTokens'>): Record<string, unknown> {
    const wished: Record<Parameter, unknown> = {
      response_format: { type: 'json_schema', json_schema: { name: 'labels', strict: true, schema } },
      max_tokens: maxTokens,
      temperature: 0,
      seed: 42,
    }
    const taken: Record<string, unknown> = { ...wished }
    for (const parameter of this.#refused) delete taken[parameter]
    return this.#refused.has('max_tokens') ? { ...taken, max_completion_tokens: maxTokens } : taken
  }

  /**
   * Learns from a refusal.
   * @param sent the parameters of the request that was refused
   * @returns the parameter that the next request does without; undefined where the refusal is about none that was sent
   */
  learn(sent: Readonly<Record<string, unknown>>, status: number, body: string): Parameter | undefined {
    if (status !== 400 && status !== 422) return undefined
    const refused = namedIn(body).find((parameter) => parameter in sent)
    if (refused) this.#refused.add(refused)
    return refused
  }
}

/** Whether an error is about a prompt that is longer than what the model takes: OpenAI and vLLM, llama.cpp, Mistral. */
export const saysTooLong = (body: string): boolean => /context.{0,10}(?:length|size|window)/i.test(body)

/** Parameters that an error is about: as its `param` says (OpenAI), or as its text does. A prompt that is too long is about none. */
function namedIn(body: string): Parameter[] {
  if (saysTooLong(body)) return []
  const param = /"param"\s*:\s*"([^"]+)"/.exec(body)?.[1]
  const text = param ?? body
  return parameters.filter((parameter) =>
    parameter === 'response_format'
      ? /response_format|schema/i.test(text)
      : new RegExp(`\\b${parameter}\\b`).test(text),
  )
}
