/**
 * Draws the pictures of docs/clustering.md.
 *
 *   npm run bench -- cluster-pictures --vectors F.f32 --dims 384 [--to docs/pictures]
 *
 * layers.svg: the layers of one clustering, each cluster as wide as it has pages, inside its parent, darker where its pages belong to it
 * more. outside.svg: pages outside each layer before and after the second pass.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openProducts } from '@tagloom/inference'
import { type Clustering, type ClusterLayer, clusterPages } from '@tagloom/kernels'
import { countOf, readRows } from './ground/files.ts'

const options = {
  vectors: { type: 'string' },
  dims: { type: 'string', default: '384' },
  to: { type: 'string', default: 'docs/pictures' },
} as const

const width = 960
const rowHeight = 56
const left = 150

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  if (values.vectors === undefined) throw new Error('expected --vectors F.f32, raw little-endian float32 row by row')
  const dims = countOf('dims', values.dims)
  const vectors = readRows(values.vectors, dims)
  const products = await openProducts({ device: 'cpu' })
  const found = await clusterPages(vectors, dims, {}, products)
  await products.close()
  mkdirSync(values.to, { recursive: true })
  writeFileSync(join(values.to, 'layers.svg'), drawLayers(found))
  writeFileSync(join(values.to, 'outside.svg'), drawOutside(found))
}

function drawLayers({ layers, chosen, pages }: Clustering): string {
  const scale = (width - left - 10) / pages
  const rows = layers.toReversed()
  let above: { starts: number[] } | undefined
  const shapes = rows.flatMap((layer, row) => {
    const starts = place(layer, above?.starts)
    above = { starts }
    const y = row * rowHeight + 10
    const mark = layers.length - 1 - row === chosen ? ' (chosen)' : ''
    const name = text(8, y + 26, `${layer.clusters} clusters${mark}`)
    return [name, ...starts.map((start, cluster) => box(left + start * scale, y, layer, cluster, scale))]
  })
  return svg(rows.length * rowHeight + 10, shapes)
}

/** Children stand side by side inside their parent, largest first. */
function place({ sizes, parents }: ClusterLayer, above: number[] | undefined): number[] {
  const starts = new Array<number>(sizes.length).fill(0)
  const next = above ? [...above] : [0]
  for (const cluster of [...sizes.keys()].sort((a, b) => sizes[b]! - sizes[a]!)) {
    const parent = above ? parents[cluster]! : 0
    starts[cluster] = next[parent]!
    next[parent] = next[parent]! + sizes[cluster]!
  }
  return starts
}

function box(x: number, y: number, layer: ClusterLayer, cluster: number, scale: number): string {
  const strength = layer.clusterStrengths[cluster]!
  const lightness = Math.round(92 - 50 * strength)
  const title = `<title>${layer.sizes[cluster]} pages, strength ${strength.toFixed(2)}</title>`
  const size = `x="${x.toFixed(1)}" y="${y}" width="${(layer.sizes[cluster]! * scale).toFixed(1)}" height="${rowHeight - 12}"`
  return `<rect ${size} fill="hsl(210 60% ${lightness}%)" stroke="white" stroke-width="0.6">${title}</rect>`
}

function drawOutside({ layers, pages }: Clustering): string {
  const scale = (width - left - 120) / pages
  const shapes = layers.toReversed().flatMap((layer, row) => {
    const y = row * 40 + 10
    const bar = (count: number, colour: string) =>
      `<rect x="${left}" y="${y}" width="${(count * scale).toFixed(1)}" height="26" fill="${colour}"/>`
    const share = (count: number) => `${((100 * count) / pages).toFixed(1)} %`
    return [
      text(8, y + 18, `${layer.clusters} clusters`),
      bar(layer.outliersBefore, '#d9b38c'),
      bar(layer.outliersAfter, '#a65628'),
      text(
        left + layer.outliersBefore * scale + 6,
        y + 18,
        `${share(layer.outliersBefore)} → ${share(layer.outliersAfter)}`,
      ),
    ]
  })
  return svg(layers.length * 40 + 10, shapes)
}

const text = (x: number, y: number, words: string) =>
  `<text x="${x.toFixed(1)}" y="${y}" font-family="sans-serif" font-size="13" fill="#333">${words}</text>`

function svg(height: number, shapes: string[]): string {
  const body = shapes.join('\n')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<rect width="100%" height="100%" fill="white"/>
${body}
</svg>
`
}
