import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { arch, platform } from 'node:os'
import { dirname } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { LocalServerError } from './local-server-error.ts'

const LARGEST_ARCHIVE_BYTES = 64 << 20
const ARCHIVE_TIMEOUT_MS = 180_000

export interface DownloadOptions {
  /** The folder of one release: the archives and their SHA256SUMS lie right in it. */
  base: string
  version: string
  /** Where the program is to lie; it appears there whole or not at all. */
  target: string
  /** How long the first bytes may take. */
  connectTimeoutMs: number
}

/** Fetches one official release, checks it against the release's SHA256SUMS and puts the program in its place. */
export async function downloadNatsServer(options: DownloadOptions): Promise<void> {
  const archiveName = `nats-server-v${options.version}-${platform()}-${goArch()}.tar.gz`
  const sums = (await fetchBytes(`${options.base}/SHA256SUMS`, options.connectTimeoutMs)).toString('utf8')
  const expected = sums
    .split('\n')
    .map((line) => line.trim().split(/\s+\*?/))
    .find((fields) => fields[1] === archiveName)?.[0]
  if (expected === undefined) throw failed(`SHA256SUMS at ${options.base} names no ${archiveName}`)
  const archive = await fetchBytes(`${options.base}/${archiveName}`, options.connectTimeoutMs)
  const actual = createHash('sha256').update(archive).digest('hex')
  if (actual !== expected.toLowerCase()) {
    throw failed(`${archiveName} has SHA-256 ${actual}, expected ${expected}: it was not used`)
  }
  const program = programFromTar(gunzipSync(archive, { maxOutputLength: 4 * LARGEST_ARCHIVE_BYTES }), archiveName)
  mkdirSync(dirname(options.target), { recursive: true })
  const partial = `${options.target}.${process.pid}`
  writeFileSync(partial, program)
  chmodSync(partial, 0o755)
  renameSync(partial, options.target)
}

/** Go's names for Node's architectures, as the release files use them. */
function goArch(): string {
  return { x64: 'amd64', ia32: '386', arm: 'arm7' }[arch() as string] ?? arch()
}

async function fetchBytes(url: string, connectTimeoutMs: number): Promise<Buffer> {
  const abort = new AbortController()
  const first = setTimeout(() => abort.abort(new Error(`no answer within ${connectTimeoutMs} ms`)), connectTimeoutMs)
  const whole = setTimeout(
    () => abort.abort(new Error(`not whole within ${ARCHIVE_TIMEOUT_MS} ms`)),
    ARCHIVE_TIMEOUT_MS,
  )
  try {
    const response = await fetch(url, { signal: abort.signal })
    clearTimeout(first)
    if (!response.ok || response.body === null) throw new Error(`the answer was ${response.status}`)
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of response.body) {
      size += chunk.length
      if (size > LARGEST_ARCHIVE_BYTES) throw new Error(`it is larger than ${LARGEST_ARCHIVE_BYTES} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } catch (cause) {
    const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
    throw failed(`${url} could not be fetched: ${inner instanceof Error ? inner.message : String(inner)}`, cause)
  } finally {
    clearTimeout(first)
    clearTimeout(whole)
    abort.abort()
  }
}

/** The file `…/nats-server` of a tar archive (POSIX ustar: 512-byte blocks, size in octal at offset 124). */
function programFromTar(tar: Buffer, archiveName: string): Buffer {
  for (let at = 0; at + 512 <= tar.length; ) {
    const name = tar.toString('utf8', at, at + 100).replace(/\0.*$/s, '')
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 136), 8)
    if (name === '' || Number.isNaN(size)) break
    if (/(^|\/)nats-server$/.test(name) && size > 0) return tar.subarray(at + 512, at + 512 + size)
    at += 512 + Math.ceil(size / 512) * 512
  }
  throw failed(`${archiveName} holds no file nats-server`)
}

function failed(message: string, cause?: unknown): LocalServerError {
  return new LocalServerError('download_failed', message, { cause })
}
