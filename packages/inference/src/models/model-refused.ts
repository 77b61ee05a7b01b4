/** A model that can't be used, with the reason and what would fit. */
export class ModelRefused extends Error {
  readonly code = 'MODEL_REFUSED'
  override readonly name = 'ModelRefused'
}
