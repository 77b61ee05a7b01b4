/** Thrown by a handler: not now. The message comes again after `delayMs`; it counts as a delivery. */
export class RetryLater extends Error {
  readonly code = 'retry_later'
  override readonly name = 'RetryLater'
  readonly delayMs: number
  constructor(delayMs: number, reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.delayMs = delayMs
  }
}

/** Thrown by a handler: never. The message goes to the dead letters with this reason. */
export class Reject extends Error {
  readonly code = 'rejected'
  override readonly name = 'Reject'
}
