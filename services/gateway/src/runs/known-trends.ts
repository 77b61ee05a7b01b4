import { countNewest, type Database, daysBefore, newestOf, type RunRollup, readRunRollup } from '@tagloom/database'
import { createTrendScratch } from '@tagloom/kernels'
import { trendsOf } from './trends.ts'

/** Wikis whose roll-up is remembered, 70 kB each at most, and answers of each */
const mostWikis = 200
const mostAnswers = 8

interface Known {
  readonly rollup: RunRollup
  /** By number of runs: what the answer is, for as long as the roll-up has this revision */
  readonly answers: Map<number, string>
}

/**
 * Trends of wikis as JSON, from one row of the database each. An answer hangs on the roll-up and on the number of runs alone, so it is
 * remembered with the roll-up's revision and never stale: every question asks for the revision.
 */
export class KnownTrends {
  readonly #db: Database
  readonly #remembers: boolean
  readonly #known = new Map<number, Known>()
  /** 160 kB for 200 runs: anew for each question it was a tenth of its time, in garbage collection */
  readonly #scratch = createTrendScratch()

  /** @param remember ENABLE_QUERY_CACHING */
  constructor(db: Database, remember: boolean) {
    this.#db = db
    this.#remembers = remember
  }

  /** @returns undefined when there is no such wiki */
  async of(wikiId: number, window: number, days: number | undefined): Promise<string | undefined> {
    const before = this.#known.get(wikiId)
    const found = await readRunRollup(this.#db, wikiId, before?.rollup.revision)
    if (!found) {
      this.#known.delete(wikiId)
      return undefined
    }
    const known = found.rollup ? this.#remember(wikiId, found.rollup) : (before as Known)
    const runs = countNewest(
      known.rollup,
      window,
      days === undefined ? Number.NEGATIVE_INFINITY : daysBefore(found.now, days),
    )
    const answer = known.answers.get(runs)
    if (answer !== undefined) return answer
    const made = JSON.stringify(trendsOf(wikiId, newestOf(known.rollup, runs), known.rollup, this.#scratch))
    putBounded(known.answers, runs, made, mostAnswers)
    return made
  }

  #remember(wikiId: number, rollup: RunRollup): Known {
    const made = { rollup, answers: new Map<number, string>() }
    const other = this.#known.get(wikiId)
    // Of two that were read at once the newer one stays.
    if (this.#remembers && !(other && other.rollup.revision > rollup.revision))
      putBounded(this.#known, wikiId, made, mostWikis)
    return made
  }
}

/** As the newest; beyond the bound the oldest goes. */
function putBounded<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, most: number): void {
  map.delete(key)
  if (map.size >= most) map.delete(map.keys().next().value as Key)
  map.set(key, value)
}
