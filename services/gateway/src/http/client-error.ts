import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { type Problem, type ProblemCode, problemCodes, problemType } from '@tagloom/contracts'

const codes: Record<string, ProblemCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

/** Answers what is no HTTP at all, and so reaches no route, with a problem like every other. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const code = codes[error.code ?? ''] ?? 'bad_request'
  const { status, title } = problemCodes[code]
  const problem: Problem = {
    type: problemType(code),
    title,
    status,
    detail: `The bytes that came are no HTTP request that can be read: ${error.code}`,
    instance: '',
    code,
    request_id: randomUUID(),
  }
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nx-request-id: ${problem.request_id}\r\nconnection: close\r\n\r\n${body}`,
  )
}
