import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Words that real pages of a topic share; a page is made of them, so that topics are there to be found. */
const topics: Record<string, string> = {
  'Sourdough baking':
    'sourdough starter flour hydration oven crust crumb levain proofing dough gluten yeast fermentation loaf kneading',
  'Sailing boats':
    'sail mast rudder keel harbour anchor tide wind hull tacking jib mainsail navigation buoy deck rigging',
  'Relational databases':
    'database index query transaction table join vacuum replication isolation lock schema column planner storage rollback',
  'Mountain hiking':
    'trail summit ridge backpack boots altitude map compass glacier hut valley ascent weather scramble cairn',
  'Jazz music':
    'jazz saxophone trumpet improvisation chord swing bebop quartet piano rhythm harmony solo standards blues ensemble',
  Beekeeping: 'bees hive honey queen drone swarm nectar comb smoker varroa apiary wax brood pollen colony',
}

export interface TopicWiki {
  /** An .ndjson file */
  readonly path: string
  remove(): void
}

/** A small generator of repeatable numbers in [0, 1): mulberry32. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const sentencesOfAPage = 4

/** A wiki of six topics whose pages are the same at every call. */
export function topicWiki(pagesPerTopic: number): TopicWiki {
  const folder = mkdtempSync(join(tmpdir(), 'tagloom-test-wiki-'))
  const path = join(folder, 'wiki.ndjson')
  const next = numbers(7)
  const lines: string[] = []
  for (const [topic, vocabulary] of Object.entries(topics)) {
    const words = vocabulary.split(' ')
    const pick = () => words[Math.floor(next() * words.length)] as string
    const sentence = () =>
      `The ${pick()} and the ${pick()} of a good ${pick()} need ${pick()}, ${pick()} and ${pick()}.`
    for (let i = 0; i < pagesPerTopic; i++) {
      const text = Array.from({ length: sentencesOfAPage }, sentence).join(' ')
      lines.push(JSON.stringify({ id: `${topic}/${i}`, title: `${topic}: ${pick()} and ${pick()}`, text }))
    }
  }
  writeFileSync(path, `${lines.join('\n')}\n`)
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
