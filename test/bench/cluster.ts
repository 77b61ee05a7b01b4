/**
 * Speed and quality of clustering, with the fields of the peers' script, so that both can be read side by side.
 *
 *   npm run bench -- cluster --vectors F.f32 --dims 384 [--labels L.ndjson] [--seed 42] [--threads N] [--device cpu]
 *                            [--exact-up-to 20000] [--limit N] [--repeat N] [--seeds 1,2,3] [--sizes 1000,3000,10000]
 *
 * F is raw little-endian float32, row by row; L has one JSON object with "label" a line, in the same order. Prints one JSON line:
 * `seconds` from vectors to layers in a warm process (the second run), `cold_seconds` from the start of the process to the first
 * layers. --repeat clusters that many times more and says whether all layers are the same. --seeds
 * gives the least adjusted Rand index between the chosen layers of these seeds and of --seed (the seed enters with the cells of
 * approximate neighbours: --exact-up-to 0 shows it on small sets). --sizes prints a line for each number of
 * rows, taken evenly from F.
 */
import { parseArgs } from 'node:util'
import { openProducts, type Products } from '@tagloom/inference'
import { agreement, type Clustering, clusterPages, evaluateClustering, rowsInClusters } from '@tagloom/kernels'
import { countOf, readNdjson, readRows } from './ground/files.ts'

const options = {
  vectors: { type: 'string' },
  dims: { type: 'string', default: '384' },
  labels: { type: 'string' },
  seed: { type: 'string', default: '42' },
  threads: { type: 'string' },
  device: { type: 'string', default: 'cpu' },
  'exact-up-to': { type: 'string' },
  limit: { type: 'string' },
  repeat: { type: 'string', default: '0' },
  seeds: { type: 'string' },
  sizes: { type: 'string' },
} as const

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']
type Rows = { vectors: Float32Array; dims: number; labels: string[] | undefined }

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  const given = readGiven(values)
  const products = await openProducts({
    device: values.device as 'cpu' | 'cuda' | 'auto',
    ...(values.threads === undefined ? {} : { threads: countOf('threads', values.threads) }),
  })
  const counts = values.sizes?.split(',').map((size) => countOf('sizes', size)) ?? [
    values.limit === undefined ? given.vectors.length / given.dims : countOf('limit', values.limit),
  ]
  for (const count of counts) await measure(products, takeEvenly(given, count), values)
  await products.close()
}

async function measure(products: Products, rows: Rows, values: Values): Promise<void> {
  const started = performance.now()
  const first = await clusterOnce(products, rows, values)
  const coldMs = performance.now()
  const cpu = process.cpuUsage()
  const again = performance.now()
  const found = await clusterOnce(products, rows, values)
  const seconds = (performance.now() - again) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const same = [first]
  for (let i = 0; i < Number(values.repeat); i++) same.push(await clusterOnce(products, rows, values))
  const peak = process.resourceUsage().maxRSS / 1024
  const evaluation = await evaluateClustering(found, rows.dims, products.multiply)
  const truth = rows.labels && numbered(rows.labels)
  const empty = new Int32Array(found.pages).fill(-1)
  console.log(
    JSON.stringify({
      bench: 'cluster',
      pages: found.pages,
      seconds: round(seconds, 3),
      cold_seconds: round((values.sizes ? coldMs - started : coldMs) / 1000, 3),
      cpu_seconds: round((user + system) / 1e6, 3),
      ...score(truth, found.layers[found.chosen]?.labels ?? empty),
      layers: found.layers.map((layer) => score(truth, layer.labels)),
      chosen_layer: found.chosen,
      criterion: found.criterion,
      coverage_before_attaching: round(1 - (found.layers[found.chosen]?.outliersBefore ?? found.pages) / found.pages),
      recall_at_15: await recall(products, found, rows.dims),
      silhouette: evaluation.silhouette.score,
      silhouette_cosine: evaluation.silhouetteCosine.score,
      ...(values.seeds === undefined ? {} : { seed_ari: await leastAgreement(products, rows, values, found) }),
      same_layers: same.every((other) => sameLayers(other, found)),
      device: products.device,
      peak_rss_mb: Math.round(peak),
    }),
  )
}

async function clusterOnce(products: Products, { vectors, dims }: Rows, values: Values): Promise<Clustering> {
  const exactUpTo = values['exact-up-to']
  const how = { seed: Number(values.seed), ...(exactUpTo === undefined ? {} : { exactUpTo: Number(exactUpTo) }) }
  return clusterPages(vectors, dims, how, products)
}

async function leastAgreement(products: Products, rows: Rows, values: Values, found: Clustering): Promise<number> {
  let least = 1
  for (const seed of values.seeds!.split(',')) {
    const other = await clusterOnce(products, rows, { ...values, seed })
    const labels = other.layers[other.chosen]?.labels
    const own = found.layers[found.chosen]?.labels
    if (labels && own) least = Math.min(least, agreement(own, labels).ari)
  }
  return round(least)
}

function readGiven({ vectors, dims: width, labels }: Values): Rows {
  if (vectors === undefined) throw new Error('expected --vectors F.f32, raw little-endian float32 row by row')
  const dims = countOf('dims', width)
  const rows = readRows(vectors, dims)
  const found = labels === undefined ? undefined : readLabels(labels)
  if (found && found.length !== rows.length / dims) {
    throw new Error(`${labels} has ${found.length} labels for ${rows.length / dims} vectors`)
  }
  return { vectors: rows, dims, labels: found }
}

const readLabels = (file: string): string[] =>
  readNdjson<{ label?: unknown }>(file).map(({ label }, at) => {
    if (label === undefined) throw new Error(`${file}: line ${at + 1} has no "label"`)
    return String(label)
  })

function takeEvenly({ vectors, dims, labels }: Rows, count: number): Rows {
  const all = vectors.length / dims
  if (count > all) throw new Error(`asked for ${count} rows of ${all}`)
  if (count === all) return { vectors, dims, labels }
  const picked = Array.from({ length: count }, (_, i) => Math.floor((i * all) / count))
  const rows = new Float32Array(count * dims)
  for (const [i, row] of picked.entries()) rows.set(vectors.subarray(row * dims, (row + 1) * dims), i * dims)
  return { vectors: rows, dims, labels: labels && picked.map((row) => labels[row]!) }
}

function score(truth: Int32Array | undefined, found: Int32Array) {
  const inside = rowsInClusters(found)
  const clusters = new Set(inside.map((row) => found[row]!)).size
  const row = { clusters, coverage: round(inside.length / Math.max(1, found.length)) }
  if (!truth) return row
  const clustered = agreement(
    inside.map((page) => truth[page]!),
    inside.map((page) => found[page]!),
  )
  return {
    ...row,
    ami: round(agreement(truth, found).ami),
    ami_clustered: round(clustered.ami),
    ari_clustered: round(clustered.ari),
  }
}

const recallRows = 1_000

/** Share of the true neighbours of some rows that were found; of equally near ones any will do. */
async function recall(products: Products, found: Clustering, dims: number): Promise<number | null> {
  const { k, indices, similarities } = found.neighbours
  const nodes = found.graph.nodes
  if (nodes < 2) return null
  const rowOfNode = new Int32Array(nodes)
  for (let page = found.pages - 1; page >= 0; page--) rowOfNode[found.distinctOf[page]!] = page
  const distinct = new Float32Array(nodes * dims)
  for (let node = 0; node < nodes; node++) {
    distinct.set(found.vectors.subarray(rowOfNode[node]! * dims, (rowOfNode[node]! + 1) * dims), node * dims)
  }
  const count = Math.min(recallRows, nodes)
  let hits = 0
  const values = new Float32Array(nodes)
  for (let i = 0; i < count; i++) {
    const node = Math.floor((i * nodes) / count)
    await products.multiply(distinct.subarray(node * dims, (node + 1) * dims), distinct, dims, values)
    values[node] = -2
    const last = values.slice().sort()[nodes - k]!
    for (let at = node * k; at < (node + 1) * k; at++) {
      if (indices[at]! >= 0 && similarities[at]! >= last - 1e-6) hits++
    }
  }
  return round(hits / (count * k))
}

function sameLayers(a: Clustering, b: Clustering): boolean {
  return (
    a.layers.length === b.layers.length &&
    a.layers.every((layer, i) => layer.labels.every((label, page) => label === b.layers[i]!.labels[page]))
  )
}

function numbered(labels: string[]): Int32Array {
  const numbers = new Map<string, number>()
  return Int32Array.from(labels, (label) => {
    const number = numbers.get(label) ?? numbers.size
    numbers.set(label, number)
    return number
  })
}

const round = (value: number, digits = 4) => Math.round(value * 10 ** digits) / 10 ** digits
