import { EnvironmentError } from '@tagloom/service-kit'

/** USD for a million tokens. */
export interface Price {
  readonly in: number
  readonly out: number
}

/** @throws Error that says what is wrong with LLM_PRICES */
export function parsePrices(json: string): ReadonlyMap<string, Price> {
  let read: unknown
  try {
    read = JSON.parse(json)
  } catch (cause) {
    throw new EnvironmentError(
      `LLM_PRICES is not JSON (${(cause as Error).message}), expected {"model":{"in":0.15,"out":0.6}}`,
      {
        cause,
      },
    )
  }
  if (typeof read !== 'object' || read === null || Array.isArray(read)) {
    throw new EnvironmentError('LLM_PRICES is no object, expected {"model":{"in":0.15,"out":0.6}}')
  }
  return new Map(Object.entries(read).map(([model, price]) => [model, checked(model, price)]))
}

function checked(model: string, price: unknown): Price {
  const { in: input, out } = (price ?? {}) as { in?: unknown; out?: unknown }
  const isPrice = (value: unknown): value is number => typeof value === 'number' && value >= 0 && Number.isFinite(value)
  if (isPrice(input) && isPrice(out)) return { in: input, out }
  throw new EnvironmentError(
    `LLM_PRICES has ${JSON.stringify(price)} for ${model}, expected {"in": USD, "out": USD} for a million tokens`,
  )
}

export const costUsd = (price: Price | undefined, tokensIn: number, tokensOut: number): number =>
  price ? (tokensIn * price.in + tokensOut * price.out) / 1_000_000 : 0
