import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeTinyEncoder } from '@tagloom/inference/testing'
import { captureLog } from '@tagloom/service-kit/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Config } from './config.ts'
import { openTaggerEmbedder } from './open-tagger-embedder.ts'

const SHA = 'c0ffee'.padEnd(40, '0')
const FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx']

/** A hub with the model org/tiny, which gives half of the ONNX file, and the rest once `goOn` was called. */
async function startHub(folder: string) {
  const { promise: rest, resolve: goOn } = Promise.withResolvers<void>()
  const server = createServer((request, response) => void answer(request.url ?? '', response))
  async function answer(url: string, response: ServerResponse): Promise<void> {
    if (url.startsWith('/api/models/org/tiny/')) return void response.end(JSON.stringify(await listed(folder)))
    const file = url.replace(`/org/tiny/resolve/${SHA}/`, '')
    if (!FILES.includes(file)) return void response.writeHead(404).end()
    const content = await readFile(join(folder, file))
    if (file !== 'onnx/model.onnx') return void response.end(content)
    const half = content.length >> 1
    response.write(content.subarray(0, half))
    await rest
    response.end(content.subarray(half))
  }
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    goOn,
    close: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

async function listed(folder: string): Promise<object> {
  const sizes = FILES.map(async (rfilename) => ({ rfilename, size: (await readFile(join(folder, rfilename))).length }))
  return { sha: SHA, siblings: await Promise.all(sizes) }
}

describe('a model from a hub', () => {
  let folder: string
  let hub: Awaited<ReturnType<typeof startHub>>
  let told: string[]

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tagloom-model-'))
    await writeTinyEncoder(folder)
    hub = await startHub(folder)
    told = []
  })
  afterEach(async () => {
    await hub.close()
    await rm(folder, { recursive: true })
  })

  const open = (model: string, log = captureLog()) => {
    const config = {
      EMBEDDING_MODEL: model,
      MODEL_CACHE_DIR: join(folder, 'cache'),
      HF_ENDPOINT: hub.address,
      MODEL_DOWNLOAD_MIN_BYTES_PER_SECOND: 0,
      INFERENCE_THREADS: 1,
    } as Config
    return openTaggerEmbedder({ config, log, stillStarting: (what) => told.push(what) })
  }

  it('says while it comes how much is there, to whoever waits for the start and in the log', async () => {
    const log = captureLog()
    const opening = open('org/tiny', log)
    await vi.waitFor(() => expect(told.at(-1)).toMatch(/^downloading org\/tiny, [4-9]0 % of 0\.\d MB$/u))
    hub.goOn()
    const embedder = await opening
    expect(told.at(-1)).toMatch(/, 100 % of /u)
    expect(log.of('model_download').at(-1)).toMatchObject({ model: 'org/tiny', file: 'onnx/model.onnx' })
    await embedder.close()
  })

  it('that is not there is a variable that is wrong, with its name', async () => {
    await expect(open('org/other')).rejects.toMatchObject({
      code: 'bad_environment',
      message: expect.stringMatching(/^EMBEDDING_MODEL: http.*\/api\/models\/org\/other\/.* answered HTTP 404$/u),
    })
  })
})
