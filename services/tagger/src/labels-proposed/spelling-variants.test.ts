import { fileURLToPath } from 'node:url'
import { tagForm } from '@tagloom/contracts'
import { type Embedder, openEmbedder } from '@tagloom/inference'
import { type MeaningCosines, resolveTags } from '@tagloom/kernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LabelVectors } from '../label-vectors.ts'

/*
 * Tags that people gave in two spellings, with the bundled model: what is one thing becomes one tag, what is two stays two. Of both lists the
 * bound is what was measured: it tells when a change makes them worse.
 */

const oneThing = `e-mail|email, on-line|online, off-line|offline, data base|database, back-end|backend, front-end|frontend, full-stack|fullstack,
time-out|timeout, time stamp|timestamp, file name|filename, user name|username, plug-in|plugin, add-on|addon, check-box|checkbox,
drop-down|dropdown, white list|whitelist, black-list|blacklist, life cycle|lifecycle, data set|dataset, meta data|metadata,
micro-service|microservice, multi-threading|multithreading, pre-processing|preprocessing, real-time|realtime, run time|runtime,
co-ordinates|coordinates, co-operation|cooperation, e-commerce|ecommerce, e-book|ebook, wi-fi|wifi, block chain|blockchain,
smart phone|smartphone, home page|homepage, log-in|login, set-up|setup, start-up|startup, work flow|workflow, white paper|whitepaper,
open source|opensource, hash map|hashmap, side-chain|sidechain, roll-up|rollup, air-drop|airdrop, byte code|bytecode, key store|keystore,
java script|javascript, type script|typescript, git hub|github, my sql|mysql, no-sql|nosql, web site|website, node js|nodejs, co-op|coop,
health care|healthcare, bread making|breadmaking, wild life|wildlife, sub-domain|subdomain, cyber security|cybersecurity, non-profit|nonprofit,
anti-virus|antivirus, re-entrancy|reentrancy, co-pilot|copilot`

const twoThings = `re-sign|resign, re-cover|recover, re-form|reform, re-creation|recreation, re-press|repress, re-sort|resort, re-lay|relay,
re-act|react, re-mark|remark, re-petition|repetition, re-present|represent, re-serve|reserve, re-treat|retreat, re-dress|redress,
re-prove|reprove, re-lease|release, re-fuse|refuse, re-bound|rebound, re-store|restore, re-strain|restrain, re-count|recount,
un-ionized|unionized, no-one|noone, a part|apart, a way|away, all ready|already, all together|altogether, may be|maybe, every day|everyday,
some time|sometime, on to|onto, now here|nowhere, the rapist|therapist, leg end|legend, car pet|carpet, car go|cargo, not able|notable,
is land|island, sea son|season, in form|inform, black bird|blackbird, white house|whitehouse, dark room|darkroom, break fast|breakfast,
man slaughter|manslaughter, mass age|massage, off spring|offspring, out right|outright, rest less|restless, over all|overall, hero in|heroin,
con text|context, ad dress|address`

let bundled: Embedder
let vectors: LabelVectors
let meaning: MeaningCosines
beforeAll(async () => {
  bundled = await openEmbedder({
    model: fileURLToPath(new URL('../../../../models/all-MiniLM-L6-v2', import.meta.url)),
    device: 'cpu',
    productsFit: true,
  })
  vectors = new LabelVectors(bundled, true)
  meaning = await vectors.meaning()
})
afterAll(() => bundled.close())

/** Those of the pairs that become one tag. */
async function joined(list: string): Promise<{ pairs: number; joined: string[] }> {
  const labels = list.split(/[,|]/).map((label) => label.trim())
  const vocabulary = labels.map((label, id) => ({
    id,
    label,
    form: tagForm(label),
    status: 'approved' as const,
    mergedInto: null,
    mergedByPerson: false,
    parentId: null,
    joinedOnce: false,
  }))
  const vectorOf = await vectors.of(labels)
  const given = { clusters: [], centroids: new Float32Array(), mode: 'prefer', tagsPerCluster: 3 } as const
  const resolution = resolveTags({ ...given, vocabulary, vectorOf, meaning })
  return { pairs: labels.length / 2, joined: resolution.joined.map(({ id }) => labels[id]!) }
}

test('spellings of one thing with and without a space or a hyphen become one tag', async () => {
  const of = await joined(oneThing)
  expect(of.pairs).toBe(62)
  expect(of.joined).toEqual(expect.arrayContaining(['email', 'database', 'online', 'coop', 'nodejs']))
  expect(of.joined.length).toBeGreaterThanOrEqual(55)
})

test('labels of the same letters that are two things stay two tags', async () => {
  const of = await joined(twoThings)
  expect(of.pairs).toBe(53)
  for (const label of ['resign', 'recover', 'noone', 'therapist', 'unionized']) expect(of.joined).not.toContain(label)
  expect(of.joined.length).toBeLessThanOrEqual(5)
})
