import '../no-telemetry.ts'

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ModelRefused } from '../models/model-refused.ts'
import { type ModelKind, type ObtainOptions, obtainModel } from '../models/obtain-model.ts'
import { PromptTooLong, type TooLong } from './prompt-too-long.ts'

/*
 * A local language model: chat messages in, text out, greedily decoded, so the same prompt has the same answer.
 * One model, one worker thread, one request at a time; the others wait in a bounded queue.
 */
export interface TextGeneratorOptions extends ObtainOptions {
  /** A folder in Hugging Face layout with onnx/model*.onnx and its cache as inputs, or a hub name. */
  readonly model: string
  /** CPU threads; by default as many as the process may use. */
  readonly threads?: number
  /** Requests that may wait; more are refused at once. */
  readonly queueLimit?: number
  /** Told when the worker died: the generator answers nothing any more. */
  readonly onDeath?: (error: Error) => void
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

interface GenerateOptions {
  /** Longest answer, in tokens. */
  readonly maxTokens: number
  /** Ends the generation at the next token, and rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface Generated {
  readonly text: string
  readonly promptTokens: number
  readonly completionTokens: number
  /** `length`: cut off at maxTokens. */
  readonly finish: 'stop' | 'length'
}

export interface TextGenerator {
  readonly model: string
  /** Prompt and answer together, in tokens. */
  readonly contextTokens: number
  /** @throws PromptTooLong, the signal's reason, or what went wrong */
  generate(messages: readonly ChatMessage[], options: GenerateOptions): Promise<Generated>
  close(): Promise<void>
}

/** The worker opens what is said here and answers requests one by one. */
export interface GeneratorSetup {
  readonly folder: string
  /** Names the ONNX file: '' for model.onnx, '_q4' for model_q4.onnx */
  readonly suffix: string
  readonly threads: number
  readonly contextTokens: number
}

export type GeneratorRequest =
  | { readonly id: number; readonly messages: readonly ChatMessage[]; readonly maxTokens: number }
  | { readonly interrupt: number }
  | 'close'

export type GeneratorReply =
  | { readonly opened: true }
  | { readonly opened: false; readonly error: string }
  | { readonly id: number; readonly generated: Generated }
  | { readonly id: number; readonly error: string }
  | { readonly id: number; readonly tooLong: TooLong }

/** ONNX variants by the suffix of their file, the preferred first: four bits are the fastest on a CPU. */
const SUFFIXES = ['_q4', '_quantized', '_int8', '_q4f16', '_fp16', ''] as const

const TEXT_MODEL: ModelKind = {
  describing: [
    'config.json',
    'generation_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'special_tokens_map.json',
    'chat_template.jinja',
  ],
  onnx: SUFFIXES.map((suffix) => `onnx/model${suffix}.onnx`),
}

const QUEUE_LIMIT = 64

export async function openTextGenerator(options: TextGeneratorOptions): Promise<TextGenerator> {
  const { folder, name } = await obtainModel(options.model, TEXT_MODEL, options)
  const setup: GeneratorSetup = {
    folder,
    suffix: findSuffix(folder, options.modelFile),
    threads: options.threads ?? availableParallelism(),
    contextTokens: await readContextTokens(folder),
  }
  const worker = new Worker(new URL('./generate-worker.ts', import.meta.url), { workerData: setup, name: 'generate' })
  const opened = await new Promise<GeneratorReply>((resolve) => {
    worker.once('message', resolve)
    worker.once('error', (error: Error) => resolve({ opened: false, error: error.message }))
  })
  if ('opened' in opened && !opened.opened) {
    await worker.terminate()
    throw new ModelRefused(`text model ${options.model} does not open: ${opened.error}`)
  }
  return new WorkerGenerator(name, setup.contextTokens, worker, options)
}

function findSuffix(folder: string, modelFile: string | undefined): string {
  const wanted = modelFile === undefined ? SUFFIXES : [/^model(.*)\.onnx$/u.exec(modelFile)?.[1] ?? modelFile]
  const found = wanted.find((suffix) => existsSync(join(folder, 'onnx', `model${suffix}.onnx`)))
  if (found === undefined) {
    const names = wanted.map((suffix) => `onnx/model${suffix}.onnx`).join(', ')
    throw new ModelRefused(`${folder} has no ONNX text model: looked for ${names}`)
  }
  return found
}

async function readContextTokens(folder: string): Promise<number> {
  const path = join(folder, 'config.json')
  if (!existsSync(path)) throw new ModelRefused(`${folder} has no config.json: expected a Hugging Face model folder`)
  const config = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
  const tokens = Number(config.max_position_embeddings ?? config.n_positions ?? config.max_seq_len)
  return tokens > 0 ? tokens : 2048
}

interface Pending {
  readonly request: Exclude<GeneratorRequest, 'close' | { interrupt: number }>
  readonly resolve: (generated: Generated) => void
  readonly reject: (error: Error) => void
}

class WorkerGenerator implements TextGenerator {
  readonly model: string
  readonly contextTokens: number
  #worker: Worker
  #limit: number
  #queue: Pending[] = []
  #inHand: Pending | undefined
  #failure: Error | undefined
  #nextId = 0

  constructor(model: string, contextTokens: number, worker: Worker, options: TextGeneratorOptions) {
    this.model = model
    this.contextTokens = contextTokens
    this.#worker = worker
    this.#limit = options.queueLimit ?? QUEUE_LIMIT
    const die = (error: Error) => {
      if (this.#failure !== undefined) return
      this.#fail(error)
      options.onDeath?.(error)
    }
    worker.on('message', (reply: GeneratorReply) => this.#settle(reply))
    worker.on('error', (cause: Error) => die(new Error(`text model worker died: ${cause.message}`, { cause })))
    worker.on('exit', (code) => die(new Error(`text model worker exited with code ${code}`)))
  }

  async generate(messages: readonly ChatMessage[], { maxTokens, signal }: GenerateOptions): Promise<Generated> {
    signal?.throwIfAborted()
    if (this.#failure !== undefined) throw this.#failure
    if (this.#queue.length >= this.#limit) throw new Error(`${this.#limit} requests wait for the text model already`)
    const id = this.#nextId++
    let abort = () => {}
    try {
      return await new Promise((resolve, reject) => {
        const pending: Pending = { request: { id, messages, maxTokens }, resolve, reject }
        abort = () => {
          this.#queue = this.#queue.filter((other) => other !== pending)
          if (this.#inHand === pending) this.#worker.postMessage({ interrupt: id } satisfies GeneratorRequest)
          reject(signal?.reason)
        }
        signal?.addEventListener('abort', abort, { once: true })
        this.#queue.push(pending)
        this.#next()
      })
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  async close(): Promise<void> {
    this.#fail(new Error('text generator is closed'))
    if (this.#worker.threadId === -1) return
    const exit = new Promise((done) => this.#worker.once('exit', done))
    this.#worker.postMessage('close')
    await exit
  }

  #next(): void {
    if (this.#inHand !== undefined || this.#queue.length === 0) return
    this.#inHand = this.#queue.shift()!
    this.#worker.postMessage(this.#inHand.request)
  }

  #settle(reply: GeneratorReply): void {
    if ('opened' in reply || this.#inHand?.request.id !== reply.id) return
    const { resolve, reject } = this.#inHand
    this.#inHand = undefined
    if ('tooLong' in reply) reject(new PromptTooLong(reply.tooLong))
    else if ('error' in reply) reject(new Error(`text generation failed: ${reply.error}`))
    else resolve(reply.generated)
    this.#next()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    const inHand = this.#inHand
    const pending = [...(inHand ? [inHand] : []), ...this.#queue]
    this.#queue = []
    this.#inHand = undefined
    if (inHand) this.#worker.postMessage({ interrupt: inHand.request.id } satisfies GeneratorRequest)
    for (const { reject } of pending) reject(this.#failure)
  }
}
