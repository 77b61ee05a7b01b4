import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { type DownloadProgress, downloadFile, fetchJson, type LeastRate, type RemoteFile } from './download-file.ts'
import { withFolderLock } from './folder-lock.ts'
import { ModelRefused } from './model-refused.ts'

/*
 * A model by folder, or by hub name:
 *   cache has a finished copy → used as it is, no network
 *   else: ask the hub for the revision's files → download what is needed, resuming → check each → mark the copy finished
 */
export interface ObtainOptions {
  /** Where downloaded models are kept; needed for hub names only. */
  readonly cacheDir?: string
  /** Base URL of the hub, https://huggingface.co by default. */
  readonly endpoint?: string
  /** Sent to the hub for gated models. */
  readonly token?: string
  /** File name of the ONNX variant, where not the first of the kind's usual ones. */
  readonly modelFile?: string
  /** 10,000 bytes a second over a minute by default. */
  readonly leastRate?: LeastRate
  readonly onProgress?: (progress: DownloadProgress) => void
}

const LEAST_RATE: LeastRate = { bytes: 600_000, withinMs: 60_000 }

/** Which files a model of some kind is made of. */
export interface ModelKind {
  /** The small files that describe it; which of them must be there is for whoever reads them to say */
  readonly describing: readonly string[]
  /** ONNX files, the preferred first */
  readonly onnx: readonly string[]
}

const NAME = /^([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?$/u

/** Folder and name of a model, downloaded where it must be. */
export async function obtainModel(
  model: string,
  kind: ModelKind,
  options: ObtainOptions,
): Promise<{ folder: string; name: string }> {
  if (existsSync(model)) return { folder: resolve(model), name: basename(resolve(model)) }
  const named = NAME.exec(model)
  if (named === null || /^\.{0,2}\//u.test(model)) {
    throw new ModelRefused(`model ${model} is neither a folder that exists nor a hub name like owner/model`)
  }
  if (options.cacheDir === undefined)
    throw new ModelRefused(`model ${model} is to be downloaded: no cache folder given`)
  const [, name, revision = 'main'] = named
  const home = join(options.cacheDir, `${name!.replace('/', '--')}@${revision.replaceAll('/', '_')}`)
  await mkdir(home, { recursive: true })
  const finished = join(home, variant(options.modelFile))
  if (!existsSync(finished)) {
    await withFolderLock(home, async () => {
      if (!existsSync(finished)) await download({ name: name!, revision, home, finished }, kind, options)
    })
  }
  const { folder } = JSON.parse(await readFile(finished, 'utf8')) as { folder: string }
  return { folder: join(home, folder), name: name! }
}

/** Name of the mark that a copy with this ONNX variant is whole. */
function variant(modelFile: string | undefined): string {
  return `finished-${(modelFile ?? 'default').replaceAll('/', '_')}.json`
}

interface HubModel {
  sha: string
  siblings: { rfilename: string; size?: number; blobId?: string; lfs?: { sha256: string; size: number } }[]
}

function hubModel(url: string, answer: unknown): HubModel {
  const { sha, siblings } = (answer ?? {}) as Partial<HubModel>
  const whole =
    typeof sha === 'string' && Array.isArray(siblings) && siblings.every((f) => typeof f?.rfilename === 'string')
  if (!whole) throw new ModelRefused(`${url} answered no list of files (sha, siblings): is HF_ENDPOINT a hub?`)
  return { sha, siblings }
}

interface Copy {
  readonly name: string
  readonly revision: string
  readonly home: string
  readonly finished: string
}

async function download(
  { name, revision, home, finished }: Copy,
  kind: ModelKind,
  options: ObtainOptions,
): Promise<void> {
  const endpoint = (options.endpoint ?? 'https://huggingface.co').replace(/\/+$/u, '')
  const headers: Record<string, string> = options.token ? { authorization: `Bearer ${options.token}` } : {}
  if (!URL.canParse(endpoint)) throw new ModelRefused(`the hub ${endpoint} is no URL: expected https://…`)
  const asked = `${endpoint}/api/models/${name}/revision/${encodeURIComponent(revision)}?blobs=true`
  const info = hubModel(asked, await fetchJson(asked, headers))
  const files = neededFiles(name, info, kind, options.modelFile)
  const folder = info.sha.slice(0, 40).replace(/[^\w]/gu, '')
  const sizes = files.map((file) => file.lfs?.size ?? file.size ?? 0)
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0)
  let before = 0
  for (const [k, file] of files.entries()) {
    const remote: RemoteFile = {
      url: `${endpoint}/${name}/resolve/${info.sha}/${file.rfilename}`,
      headers,
      ...(sizes[k] ? { bytes: sizes[k] } : {}),
      ...(file.lfs ? { sha256: file.lfs.sha256 } : {}),
      ...(file.blobId && !file.lfs ? { gitBlob: file.blobId } : {}),
    }
    const done = before
    const target = join(home, folder, file.rfilename)
    await downloadFile(remote, target, options.leastRate ?? LEAST_RATE, (bytes) =>
      options.onProgress?.({ model: name, file: file.rfilename, bytes: done + bytes, totalBytes }),
    )
    before += sizes[k]!
  }
  const mark = `${finished}.${process.pid}`
  await writeFile(mark, JSON.stringify({ name, revision, sha: info.sha, folder, files: files.map((f) => f.rfilename) }))
  await rename(mark, finished)
}

/** The files of a hub model that are needed here: what describes it, one ONNX file, and the weights beside that. */
function neededFiles(
  name: string,
  info: HubModel,
  kind: ModelKind,
  modelFile: string | undefined,
): HubModel['siblings'] {
  const byName = new Map(info.siblings.map((file) => [file.rfilename, file]))
  const candidates = modelFile === undefined ? kind.onnx : [modelFile, `onnx/${modelFile}`]
  const onnx = candidates.find((candidate) => byName.has(candidate))
  if (onnx === undefined) {
    throw new ModelRefused(`${name} has no ONNX file on the hub: looked for ${candidates.join(', ')}`)
  }
  if (!byName.has('tokenizer.json')) throw new ModelRefused(`${name} has no tokenizer.json on the hub`)
  const wanted = new Set([...kind.describing, onnx])
  return info.siblings.filter(({ rfilename }) => wanted.has(rfilename) || isExternalData(rfilename, onnx))
}

/** Whether a file holds weights of an ONNX file beside it: `model.onnx_data`, `model.onnx_data_1` … */
export function isExternalData(file: string, onnx: string): boolean {
  return file.startsWith(`${onnx}_data`) && /^(_\d+)?$/u.test(file.slice(`${onnx}_data`.length))
}
