import { resolve } from 'node:path'

/** Pages as NDJSON, as the import route takes them. */
export async function pagesAt(path: string): Promise<string> {
  const { wikiAt } = await import('@tagloom/launcher/testing')
  const parts: Uint8Array[] = []
  for await (const part of (await wikiAt(resolve(path))).lines()) parts.push(part)
  return Buffer.concat(parts).toString()
}

/** The same pages at every call. */
export const madeUpPages = (count: number): string =>
  Array.from({ length: count }, (_, at) =>
    JSON.stringify({ id: `p${at}`, title: `Page ${at}`, text: textOf(at) }),
  ).join('\n')

/** Some sentences about one of ten made-up topics. */
function textOf(at: number): string {
  const topic = at % 10
  const word = (n: number) => `topic${topic}word${(at * 7 + n * 13) % 40}`
  return Array.from(
    { length: 12 },
    (_, s) => `The ${word(s)} of a ${word(s + 3)} needs ${word(s + 5)} and ${word(s + 8)}.`,
  ).join(' ')
}
