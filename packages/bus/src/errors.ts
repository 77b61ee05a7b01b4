/** The bus cannot be used as it is configured or as the server is: the message says what to do. */
export class BusError extends Error {
  readonly code: 'unreachable' | 'refused' | 'too_old' | 'no_jetstream' | 'publish_failed' | 'closed'
  override readonly name = 'BusError'
  constructor(code: BusError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
