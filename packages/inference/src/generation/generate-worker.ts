/**
 * Thread of one text model, by transformers.js: applies the chat template, decodes greedily with the model's key-value cache, answers.
 * Started by text-generator.ts only; it never goes to the network.
 */
import { basename, dirname } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  env,
  InterruptableStoppingCriteria,
  type PreTrainedModel,
  type PreTrainedTokenizer,
  type Tensor,
} from '@huggingface/transformers'
import type { Generated, GeneratorReply, GeneratorRequest, GeneratorSetup } from './text-generator.ts'

const { folder, suffix, threads, contextTokens } = workerData as GeneratorSetup
const port = parentPort!
const say = (reply: GeneratorReply) => port.postMessage(reply)
const stopping = new InterruptableStoppingCriteria()
let inHand: number | undefined

async function open(): Promise<void> {
  env.allowRemoteModels = false
  env.localModelPath = dirname(folder)
  const name = basename(folder)
  const tokenizer = await AutoTokenizer.from_pretrained(name, { local_files_only: true })
  const model = await AutoModelForCausalLM.from_pretrained(name, {
    local_files_only: true,
    device: 'cpu',
    // The file is named in full, so that no table of types decides which one is read.
    dtype: 'fp32',
    model_file_name: `model${suffix}`,
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1, logSeverityLevel: 3 },
  })
  port.on('message', (request: GeneratorRequest) => {
    if (request === 'close') void model.dispose().finally(() => port.close())
    else if ('interrupt' in request) {
      if (request.interrupt === inHand) stopping.interrupt()
    } else void answer(model, tokenizer, request)
  })
  say({ opened: true })
}

async function answer(
  model: PreTrainedModel,
  tokenizer: PreTrainedTokenizer,
  { id, messages, maxTokens }: Exclude<GeneratorRequest, 'close' | { interrupt: number }>,
): Promise<void> {
  inHand = id
  stopping.reset()
  try {
    const prompt = tokenizer.apply_chat_template([...messages], { add_generation_prompt: true, return_dict: true })
    const promptTokens = (prompt as unknown as Prompt).input_ids.dims.at(-1)!
    // Of a long answer a quarter of the context is kept free: no model is left without a prompt.
    const mostTokens = contextTokens - Math.min(maxTokens, Math.floor(contextTokens / 4))
    if (promptTokens > mostTokens) say({ id, tooLong: { promptTokens, mostTokens, contextTokens } })
    else say({ id, generated: await generate(model, tokenizer, prompt as unknown as Prompt, maxTokens) })
  } catch (error) {
    say({ id, error: (error as Error).message.split('\n')[0]! })
  } finally {
    inHand = undefined
  }
}

interface Prompt {
  readonly input_ids: Tensor
  readonly attention_mask: Tensor
}

async function generate(
  model: PreTrainedModel,
  tokenizer: PreTrainedTokenizer,
  prompt: Prompt,
  maxTokens: number,
): Promise<Generated> {
  const promptTokens = prompt.input_ids.dims.at(-1)!
  const most = Math.min(maxTokens, contextTokens - promptTokens)
  const output = (await model.generate({
    ...prompt,
    max_new_tokens: most,
    do_sample: false,
    stopping_criteria: stopping,
  } as unknown as Parameters<PreTrainedModel['generate']>[0])) as Tensor
  const answered = output.slice(null, [promptTokens, output.dims.at(-1)!])
  const completionTokens = answered.dims.at(-1)!
  const [text = ''] = tokenizer.batch_decode(answered, { skip_special_tokens: true })
  return { text, promptTokens, completionTokens, finish: completionTokens < most ? 'stop' : 'length' }
}

open().catch((error: Error) => {
  say({ opened: false, error: error.message.split('\n')[0]! })
  port.close()
})
