import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { ModelRefused } from './model-refused.ts'

export interface DownloadProgress {
  readonly model: string
  readonly file: string
  /** Of all files together. */
  readonly bytes: number
  readonly totalBytes: number
}

export interface RemoteFile {
  readonly url: string
  readonly headers: Record<string, string>
  /** As the hub declares it: all there is to check by where it declares no hash. */
  readonly bytes?: number
  /** What the content must hash to: sha-256, or for small files the git blob id. */
  readonly sha256?: string
  readonly gitBlob?: string
}

/** A download that brings fewer bytes than these within the time is broken off, however steadily they come. */
export interface LeastRate {
  readonly bytes: number
  readonly withinMs: number
}

const ATTEMPTS = 6
const IDLE_MS = 30_000
const FIRST_PAUSE_MS = 250

/** A download that failed in a way that another attempt may mend. */
class Broken extends Error {
  readonly waitMs: number
  constructor(message: string, { waitMs = 0, cause }: { waitMs?: number; cause?: unknown } = {}) {
    super(message, { cause })
    this.waitMs = waitMs
  }
}

/**
 * Brings a file to `target`. What has arrived stays in `target`.partial, also when the process dies, and the next
 * attempt asks for the rest only (Range). The content is checked before the file gets its name. Six attempts, with backoff;
 * thirty seconds without a byte end an attempt, and so does a rate below the least.
 * @param onBytes told what is there when an attempt begins, and of all that comes
 */
export async function downloadFile(
  remote: RemoteFile,
  target: string,
  leastRate: LeastRate,
  onBytes: (bytes: number) => void,
): Promise<void> {
  if (existsSync(target)) return
  await mkdir(dirname(target), { recursive: true })
  const partial = `${target}.partial`
  await attempts(remote.url, async () => {
    await appendRest(remote, partial, leastRate, onBytes)
    await check(remote, partial)
  })
  await rename(partial, target)
}

/** JSON from a URL, with the same attempts and time limit; what is no JSON is refused at once. */
export function fetchJson(url: string, headers: Record<string, string>): Promise<unknown> {
  return attempts(url, async () => {
    const response = await request(url, headers, AbortSignal.timeout(IDLE_MS))
    const text = await response.text()
    try {
      return JSON.parse(text) as unknown
    } catch (cause) {
      const type = response.headers.get('content-type') ?? 'no content type'
      throw new ModelRefused(`${url} answered ${type}, expected JSON: is HF_ENDPOINT the address of a hub?`, { cause })
    }
  })
}

async function attempts<Result>(url: string, work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (error instanceof ModelRefused) throw error
      if (attempt === ATTEMPTS) {
        throw new ModelRefused(`${url} could not be downloaded in ${ATTEMPTS} attempts: ${(error as Error).message}`, {
          cause: error,
        })
      }
      const backoff = FIRST_PAUSE_MS * 2 ** attempt * (0.5 + Math.random() / 2)
      await pause(Math.max(backoff, error instanceof Broken ? error.waitMs : 0))
    }
  }
}

async function request(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { headers, signal }).catch((cause: Error) => {
    throw new Broken(`no answer (${(cause.cause as Error | undefined)?.message ?? cause.message})`, { cause })
  })
  if (response.ok || response.status === 416) return response
  await response.body?.cancel()
  if (response.status === 429 || response.status >= 500) {
    const seconds = Number(response.headers.get('retry-after'))
    throw new Broken(`HTTP ${response.status}`, { waitMs: seconds > 0 ? Math.min(60, seconds) * 1000 : 0 })
  }
  const hint = [401, 403].includes(response.status) ? ': the model does not exist or needs HF_TOKEN' : ''
  throw new ModelRefused(`${url} answered HTTP ${response.status}${hint}`)
}

async function appendRest(
  remote: RemoteFile,
  partial: string,
  leastRate: LeastRate,
  onBytes: (bytes: number) => void,
): Promise<void> {
  let have = await stat(partial).then(
    ({ size }) => size,
    () => 0,
  )
  onBytes(have)
  const idle = new AbortController()
  const timer = setTimeout(() => idle.abort(new Broken(`no byte within ${IDLE_MS / 1000} s`)), IDLE_MS)
  let came = 0
  const pace = setInterval(() => {
    const { bytes, withinMs } = leastRate
    if (came < bytes)
      idle.abort(new Broken(`${came} bytes came within ${withinMs / 1000} s, expected ${bytes} or more`))
    came = 0
  }, leastRate.withinMs)
  try {
    const range: Record<string, string> = have > 0 ? { range: `bytes=${have}-` } : {}
    // Bytes are counted and resumed as they are stored: a compressed answer would have others.
    const headers = { ...remote.headers, ...range, 'accept-encoding': 'identity' }
    const response = await request(remote.url, headers, idle.signal)
    // Nothing is left to send: whether what is there is the file, the check decides.
    if (response.status === 416) return void (await response.body?.cancel())
    if (response.status !== 206) have = 0
    const count = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        timer.refresh()
        came += chunk.length
        have += chunk.length
        onBytes(have)
        next(null, chunk)
      },
    })
    const body = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0])
    await pipeline(body, count, createWriteStream(partial, { flags: response.status === 206 ? 'a' : 'w' }), {
      signal: idle.signal,
    })
  } catch (error) {
    throw idle.signal.aborted ? idle.signal.reason : error
  } finally {
    clearTimeout(timer)
    clearInterval(pace)
  }
}

/** A file that is whole and yet not what the hub says is dropped, so that the next attempt begins anew. */
async function check(remote: RemoteFile, file: string): Promise<void> {
  const { size } = await stat(file)
  const fault =
    remote.bytes !== undefined && size !== remote.bytes ? `${size} bytes came, expected ${remote.bytes}` : ''
  const wrong = fault || (await wrongHash(remote, file, size))
  if (wrong === '') return
  await rm(file, { force: true })
  throw new Broken(wrong)
}

async function wrongHash(remote: RemoteFile, file: string, size: number): Promise<string> {
  const expected = remote.sha256 ?? remote.gitBlob
  if (expected === undefined) return ''
  const hash = createHash(remote.sha256 === undefined ? 'sha1' : 'sha256')
  if (remote.sha256 === undefined) hash.update(`blob ${size}\0`)
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  const found = hash.digest('hex')
  return found === expected ? '' : `content hashes to ${found}, expected ${expected}`
}
