import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openEmbedder } from '../embedding/embedder.ts'
import { EMBEDDING_MODEL } from '../embedding/model-spec.ts'
import { obtainModel } from './obtain-model.ts'

const BUNDLED = new URL('../../../../models/all-MiniLM-L6-v2/', import.meta.url)
const FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'modules.json', '1_Pooling/config.json']
const ONNX = 'onnx/model.onnx'
const SHA = 'c0ffee'.padEnd(40, '0')

/** A hub with one model, whose large file breaks off as often as `breaks` says, or is another than promised. */
class Hub {
  breaks = 0
  wrong = 0
  status: number | undefined
  /** Answers with the ONNX file that drip a byte now and then, and never end */
  drips = 0
  /** What the model's address answers in place of its list of files */
  answer: string | undefined
  /** The bundled file that lies under the name of the ONNX file; a small one where the test opens no model */
  onnx = 'tokenizer_config.json'
  /** Whether the list of files has hashes */
  hashes = true
  siblings = [...FILES, ONNX]
  requests: { url: string; range: string | undefined }[] = []
  #server: Server = createServer((req, res) => void this.#answer(req.url!, req.headers.range, res))

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }
  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((done) => this.#server.close(done))
  }

  async #answer(url: string, range: string | undefined, res: import('node:http').ServerResponse): Promise<void> {
    this.requests.push({ url, range })
    if (this.status !== undefined) return void res.writeHead(this.status).end()
    if (this.answer !== undefined) return void res.setHeader('content-type', 'text/html').end(this.answer)
    if (url.startsWith('/api/models/org/mini/')) return void res.end(JSON.stringify(await this.#info()))
    const file = url.replace(`/org/mini/resolve/${SHA}/`, '')
    let content = await bytesOf(file, this.onnx)
    if (file === ONNX && this.wrong-- > 0) content = this.hashes ? Buffer.alloc(content.length) : Buffer.from('<html>')
    const from = Number(/bytes=(\d+)-/u.exec(range ?? '')?.[1] ?? 0)
    res.writeHead(from > 0 ? 206 : 200, { 'content-length': content.length - from })
    if (file === ONNX && this.drips-- > 0) return drip(res, content.subarray(from))
    if (file !== ONNX || this.breaks-- <= 0) return void res.end(content.subarray(from))
    res.write(content.subarray(from, from + 6_000_000), () => setTimeout(() => res.destroy(), 50))
  }

  async #info() {
    const siblings = await Promise.all(
      this.siblings.map(async (rfilename) => {
        const content = await bytesOf(rfilename, this.onnx)
        const sha256 = createHash('sha256').update(content).digest('hex')
        const blobId = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
        if (!this.hashes) return { rfilename, size: content.length }
        return rfilename === ONNX
          ? { rfilename, lfs: { sha256, size: content.length } }
          : { rfilename, blobId, size: content.length }
      }),
    )
    return { sha: SHA, siblings }
  }
}

function drip(res: import('node:http').ServerResponse, content: Buffer): void {
  let at = 0
  const timer = setInterval(() => res.write(content.subarray(at, ++at)), 10)
  res.on('close', () => clearInterval(timer))
}

async function bytesOf(file: string, onnx = 'model_int8.onnx'): Promise<Buffer> {
  if (file.includes('/../')) return Buffer.from('outside')
  return readFile(new URL(file === ONNX ? onnx : file, BUNDLED))
}

describe('a model by hub name', () => {
  let hub: Hub
  let endpoint: string
  let cacheDir: string
  beforeEach(async () => {
    hub = new Hub()
    endpoint = await hub.listen()
    cacheDir = await mkdtemp(join(tmpdir(), 'tagloom-hub-'))
  })
  afterEach(async () => {
    await hub.close()
    await rm(cacheDir, { recursive: true, force: true })
  })

  it('is downloaded, resumed where the connection breaks off, checked, and then used offline', async () => {
    hub.onnx = 'model_int8.onnx'
    hub.breaks = 2
    const seen: number[] = []
    const embedder = await openEmbedder({
      model: 'org/mini',
      cacheDir,
      endpoint,
      threads: 1,
      onProgress: ({ bytes, totalBytes }) => seen.push(bytes / totalBytes),
    })
    expect(embedder.modelId).toMatch(/^org\/mini@/u)
    expect((await embedder.embed(['text'])).length).toBe(384)
    await embedder.close()
    const ranges = hub.requests.filter(({ url }) => url.endsWith(ONNX)).map(({ range }) => range)
    expect(ranges[0]).toBeUndefined()
    expect(ranges).toHaveLength(3)
    expect(ranges.slice(1).every((range) => Number(/\d+/u.exec(range!)![0]) > 1_000_000)).toBe(true)
    expect(seen.at(-1)).toBe(1)
    const asked = hub.requests.length
    await obtainModel('org/mini', EMBEDDING_MODEL, { cacheDir, endpoint: 'http://127.0.0.1:9' })
    expect(hub.requests).toHaveLength(asked)
  })

  it('is downloaded anew when its content is not what the hub says', async () => {
    hub.wrong = 1
    const { folder } = await obtainModel('org/mini', EMBEDDING_MODEL, { cacheDir, endpoint })
    const [got, own] = [await readFile(join(folder, ONNX)), await bytesOf(ONNX, hub.onnx)]
    expect(got.equals(own)).toBe(true)
    expect(hub.requests.filter(({ url }) => url.endsWith(ONNX))).toHaveLength(2)
  })

  it('is downloaded anew when another page came in its place, also where the hub declares no hash', async () => {
    hub.hashes = false
    hub.wrong = 1
    const { folder } = await obtainModel('org/mini', EMBEDDING_MODEL, { cacheDir, endpoint })
    expect((await stat(join(folder, ONNX))).size).toBe((await bytesOf(ONNX, hub.onnx)).length)
    expect(hub.requests.filter(({ url }) => url.endsWith(ONNX))).toHaveLength(2)
  })

  it('is broken off and taken up again where the hub drips, however steadily', async () => {
    hub.drips = 2
    const leastRate = { bytes: 200, withinMs: 200 }
    const { folder } = await obtainModel('org/mini', EMBEDDING_MODEL, { cacheDir, endpoint, leastRate })
    expect((await readFile(join(folder, ONNX))).equals(await bytesOf(ONNX, hub.onnx))).toBe(true)
    const ranges = hub.requests.filter(({ url }) => url.endsWith(ONNX)).map(({ range }) => range)
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=\d+-$/u), expect.stringMatching(/^bytes=\d+-$/u)])
  })

  it('has no file outside its folder, whatever the list of files says', async () => {
    hub.siblings = [...FILES, ONNX, `${ONNX}_data/../../../outside`]
    await obtainModel('org/mini', EMBEDDING_MODEL, { cacheDir, endpoint })
    expect(hub.requests.filter(({ url }) => url.includes('outside'))).toEqual([])
  })

  it('is asked for by a revision with a slash in one piece', async () => {
    await obtainModel('org/mini@refs/pr/1', EMBEDDING_MODEL, { cacheDir, endpoint })
    expect(hub.requests[0]!.url).toBe('/api/models/org/mini/revision/refs%2Fpr%2F1?blobs=true')
  })

  it.each([
    ['<html>Log in</html>', /answered text\/html, expected JSON: is HF_ENDPOINT the address of a hub/u],
    ['{"error":"none"}', /answered no list of files/u],
    ['null', /answered no list of files/u],
  ])('is refused at once where the hub answers %s', async (answer, reason) => {
    hub.answer = answer
    await expect(obtainModel('org/mini', EMBEDDING_MODEL, { cacheDir, endpoint })).rejects.toThrow(reason)
    expect(hub.requests).toHaveLength(1)
  })

  it('is refused where the address of the hub is none', async () => {
    await expect(obtainModel('org/mini', EMBEDDING_MODEL, { cacheDir, endpoint: 'hub' })).rejects.toThrow(
      /the hub hub is no URL/u,
    )
  })

  it('is downloaded once by two that want it at the same time', async () => {
    const [a, b] = await Promise.all([
      obtainModel('org/mini', EMBEDDING_MODEL, { cacheDir, endpoint }),
      obtainModel('org/mini', EMBEDDING_MODEL, { cacheDir, endpoint }),
    ])
    expect(a).toEqual(b)
    expect((await stat(join(a.folder, ONNX))).size).toBe((await bytesOf(ONNX, hub.onnx)).length)
    expect(hub.requests.filter(({ url }) => url.endsWith(ONNX))).toHaveLength(1)
  })

  it('is refused with the reason when it has no ONNX file, is unknown, or is no name', async () => {
    hub.siblings = FILES
    await expect(obtainModel('org/mini', EMBEDDING_MODEL, { cacheDir, endpoint })).rejects.toThrow(
      /has no ONNX file on the hub/u,
    )
    hub.status = 404
    await expect(obtainModel('org/mini', EMBEDDING_MODEL, { cacheDir, endpoint })).rejects.toThrow(/HTTP 404/u)
    await expect(obtainModel('./models/none', EMBEDDING_MODEL, { cacheDir })).rejects.toThrow(
      /neither a folder that exists nor a hub/u,
    )
  })
})
