/**
 * The error that a person can read and a log may hold: drizzle's own repeats the query with its parameters, which may be page text or
 * vectors; what the server said is in its cause.
 */
export function plainError(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error))
  if (!error.message.startsWith('Failed query:') || !(error.cause instanceof Error)) return error
  const { code } = error.cause as { code?: unknown }
  return Object.assign(new Error(`the database refused a statement: ${error.cause.message}`, { cause: error }), {
    code,
  })
}

/** An error as a log line holds it: what plainError says, with the calls that led to it. */
export function loggedError(error: unknown): { type: string; message: string; code?: unknown; stack: string } {
  const plain = plainError(error)
  const calls = (error instanceof Error ? error : plain).stack?.split('\n').filter((line) => /^ +at /.test(line)) ?? []
  const { code } = plain as { code?: unknown }
  return {
    type: plain.name,
    message: plain.message,
    ...(code === undefined ? {} : { code }),
    stack: [`${plain.name}: ${plain.message}`, ...calls].join('\n'),
  }
}
