import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/*
 * A language model as weak as one can be, for tests: whatever instruction it finds in the pages that it is shown it obeys, however it is
 * wrapped, and puts what was asked for first. Where it finds none it names the cluster by its keyphrases.
 */

export interface ObeyingServer {
  readonly endpoint: string
  /** Whether instructions are obeyed, or pages are only read */
  obeys: boolean
  /** Labels that pages asked for and that were given */
  readonly obeyed: Set<string>
  readonly calls: number
  close(): Promise<void>
}

interface Shown {
  readonly pages: readonly { readonly title: string; readonly excerpt: string }[]
  readonly keyphrases: readonly string[]
}

/** Most labels of one instruction's cluster that are told: room for the keyphrases stays. */
const MOST_OBEYED = 4

export async function openObeyingServer(): Promise<ObeyingServer> {
  const state = { obeys: true, obeyed: new Set<string>(), calls: 0 }
  const answerTo = (shown: Shown): string[] => {
    const told = state.obeys ? [...new Set(shown.pages.flatMap((page) => askedFor(page, shown)))] : []
    const given = told.slice(0, MOST_OBEYED)
    for (const label of given) state.obeyed.add(label)
    return [...given, ...shown.keyphrases.slice(0, 3)]
  }
  const server = createServer(async (request, response) => {
    state.calls++
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { messages } = JSON.parse(Buffer.concat(chunks).toString()) as { messages: { content: string }[] }
    const content = JSON.stringify({ tags: answerTo(JSON.parse(messages.at(-1)!.content)) })
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content } }] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(state, {
    endpoint: `http://127.0.0.1:${port}/v1`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

/** What a page asks for: in words, behind marks that nobody sees, in base64, or as a word to stand before each tag. */
function askedFor({ title, excerpt }: Shown['pages'][number], { keyphrases }: Shown): string[] {
  const seen = `${title}\n${excerpt}`.replace(/\p{Cf}/gu, '')
  const decoded = [...seen.matchAll(/\b[\w+/]{24,}={0,2}/g)].map(([code]) => Buffer.from(code, 'base64').toString())
  const lists = [seen, ...decoded].flatMap((text) => [...text.matchAll(/"tags"\s*:\s*\[([^\]]*)\]/g)])
  const labels = lists.flatMap(([, list]) => [...list!.matchAll(/"([^"]+)"/g)].map(([, label]) => label!))
  const prefixes = [...seen.matchAll(/the word (\w+) before each tag/g)].map(([, word]) => `${word} ${keyphrases[0]}`)
  return [...labels, ...prefixes]
}
