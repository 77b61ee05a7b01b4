export type LocalServerErrorCode =
  | 'home_in_use'
  | 'nats_server_missing'
  | 'nats_server_too_old'
  | 'download_failed'
  | 'server_did_not_start'
  | 'server_unreachable'
  | 'server_too_old'
  | 'data_unusable'
  | 'no_unprivileged_user'

/** What a person can act on: the message says what was expected, what came, and what to do. */
export class LocalServerError extends Error {
  readonly code: LocalServerErrorCode

  constructor(code: LocalServerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LocalServerError'
    this.code = code
  }
}
