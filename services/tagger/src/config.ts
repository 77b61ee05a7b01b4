import type { ConfigOf } from '@tagloom/service-kit'
import Type from 'typebox'
import { llmEnvironment } from './llm/environment.ts'

/** Variables of this service, beside those that every service reads. */
export const environment = {
  ...llmEnvironment,
  EMBEDDING_MODEL: Type.String({
    default: '',
    description:
      'Embedding model: a folder in Hugging Face layout, or a hub name (owner/model@revision); empty: the bundled one',
  }),
  EMBEDDING_MODEL_FILE: Type.String({
    default: '',
    description: 'ONNX file of that model, where not the first of the usual ones, e.g. model_fp16.onnx',
  }),
  MODEL_CACHE_DIR: Type.String({ default: '.tagloom/models', description: 'Where downloaded models are kept' }),
  HF_ENDPOINT: Type.String({ default: 'https://huggingface.co', description: 'Hub that models are downloaded from' }),
  HF_TOKEN: Type.String({ default: '', description: 'Token for gated models' }),
  MODEL_DOWNLOAD_MIN_BYTES_PER_SECOND: Type.Integer({
    default: 10_000,
    minimum: 0,
    description: 'A download below this, over a minute, is broken off and taken up again, six times at most; 0: never',
  }),
  INFERENCE_DEVICE: Type.Enum(['cpu', 'cuda', 'auto'], {
    default: 'cpu',
    description: 'Where models run; where CUDA cannot be had the CPU is taken, with a warning',
  }),
  INFERENCE_THREADS: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 1024,
    description: 'CPU threads for inference; 0: as many as the process may use',
  }),
}
export type Config = ConfigOf<typeof environment>
