import type { ConfigOf } from '@tagloom/service-kit'
import Type from 'typebox'

/** Variables of this service, beside those that every service reads. */
export const environment = {
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
