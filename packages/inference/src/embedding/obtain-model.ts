import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { ModelRefused } from './model-spec.ts'

export interface ObtainOptions {
  /** Where downloaded models are kept. */
  readonly cacheDir?: string
}

export async function obtainModel(model: string, options: ObtainOptions): Promise<{ folder: string; name: string }> {
  if (existsSync(model)) return { folder: resolve(model), name: basename(resolve(model)) }
  throw new ModelRefused(`no model ${model} in ${options.cacheDir}`)
}
