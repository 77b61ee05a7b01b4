/**
 * What run records cost a job.
 *
 *   npm run bench -- metrics-overhead [--pairs 6] [--pages 400 | --wiki FOLDER_OR_NDJSON]
 *
 * Each pair is the same job on a new wiki with ENABLE_METRICS=true and =false, one after the other, the order turning round from pair to pair.
 * Both pipelines stay up for three pairs, each over a database and streams of its own, after a job that is not counted; while one works the
 * other's processes stand still (SIGSTOP), so that they take nothing from it. JSON lines:
 *   pair        wall time and processor time of both
 *   accounting  processor time of metrics, as a share of the job's. In the four services that do the work: that of collecting and sending
 *               one sample (JobMetrics, serializing, outbox row, publishing; the same transaction without a sample taken off), times the samples
 *               of the job. In the aggregator: all that its process took from the request for the job until its record was stored
 *               (`aggregator`, with what it takes when nothing happens), and that less its idle rate over the same time (`above_idle`)
 *   paired      median difference of wall time, of processor time of the four, and of all five services
 */
import { parseArgs } from 'node:util'
import { type Bus, connectBus } from '@tagloom/bus'
import { addOutbox, type Database, migrate, openDatabase, takeOutbox } from '@tagloom/database'
import { JobMetrics } from '@tagloom/service-kit'
import { ownServers } from './ground/own-servers.ts'
import { madeUpPages, pagesAt } from './metrics-overhead/pages.ts'
import { type Measured, type Pipeline, startPipeline } from './metrics-overhead/pipeline.ts'

const options = {
  pairs: { type: 'string', default: '6' },
  pages: { type: 'string', default: '400' },
  wiki: { type: 'string' },
} as const

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  const servers = await ownServers()
  try {
    await migrate(servers.databaseUrl)
    const db = openDatabase({ url: servers.databaseUrl })
    const bus = await connectBus({ url: servers.natsUrl, name: 'bench' })
    try {
      const sampleUs = await costOfSample(db, bus)
      await bus.close()
      const pages = values.wiki === undefined ? madeUpPages(Number(values.pages)) : await pagesAt(values.wiki)
      await pairs(servers, Number(values.pairs), pages, sampleUs)
    } finally {
      await db.close()
    }
  } finally {
    await servers.stop()
  }
}

const cpuUs = (): number => {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Processor time of one sample, in µs: a batch's transaction with it, less one without. */
async function costOfSample(db: Database, bus: Bus): Promise<number> {
  const rounds = 500
  const commit = async (at: number, enabled: boolean) => {
    const metrics = new JobMetrics({
      wikiId: 1,
      jobId: 'bench',
      service: 'propagator',
      enabled,
      version: 'bench',
      databaseErrors: 0,
    })
    metrics.startStage('propagate', at)
    for (let page = 0; page < 1000; page++) metrics.increment(`pages_by_tags.${page % 9}`)
    metrics.increment('pages_processed', 1000)
    const ids = await db.transaction((tx) => addOutbox(tx, metrics.toMessages({ source: 'propagator' })))
    if (ids.length) await takeOutbox(db, { ids, limit: 1 }, (row) => bus.publish(row))
  }
  const measure = async (from: number, enabled: boolean) => {
    const before = cpuUs()
    for (let i = 0; i < rounds; i++) await commit(from + i, enabled)
    return (cpuUs() - before) / rounds
  }
  await measure(0, true)
  await measure(0, false)
  return Math.max(0, (await measure(rounds, true)) - (await measure(0, false)))
}

const say = (figures: Record<string, unknown>) => console.log(JSON.stringify({ bench: 'metrics-overhead', ...figures }))
const rounded = (value: number) => Number(value.toFixed(3))
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (index: number) => sorted[index] as number
  return (at((sorted.length - 1) >> 1) + at(sorted.length >> 1)) / 2
}

/** After so many pairs both pipelines are started anew, in the other order: no two processes of one program are equally quick. */
const pairsOfPipelines = 3

async function pairs(servers: Servers, count: number, pages: string, sampleUs: number): Promise<void> {
  const measured: Pair[] = []
  for (let round = 0; measured.length < count; round++) {
    const onFirst = round % 2 === 0
    const one = await startPipeline(servers, onFirst, round)
    try {
      const other = await startPipeline(servers, !onFirst, round)
      try {
        const [on, off] = onFirst ? [one, other] : [other, one]
        const wanted = Math.min(pairsOfPipelines, count - measured.length)
        measured.push(...(await measurePairs(on, off, { from: measured.length, wanted }, pages)))
      } finally {
        await other.stop()
      }
    } finally {
      await one.stop()
    }
  }
  report(measured, sampleUs)
}

async function measurePairs(
  on: Pipeline,
  off: Pipeline,
  { from, wanted }: { readonly from: number; readonly wanted: number },
  pages: string,
): Promise<Pair[]> {
  on.standStill()
  off.standStill()
  const alone = async (pipeline: Pipeline): Promise<Measured> => {
    pipeline.goOn()
    const measured = await pipeline.job(pages)
    pipeline.standStill()
    return measured
  }
  // The first job of a process loads the model and compiles its code.
  await alone(on)
  await alone(off)
  const measured: Pair[] = []
  for (let pair = from; pair < from + wanted; pair++) {
    const first = pair % 2 === 0 ? on : off
    const one = await alone(first)
    const other = await alone(first === on ? off : on)
    const both = first === on ? { on: one, off: other } : { on: other, off: one }
    measured.push(both)
    const of = ({ seconds, workCpu, aggregatorCpu }: Measured) => ({
      s: rounded(seconds),
      work_cpu_s: rounded(workCpu),
      aggregator_cpu_s: rounded(aggregatorCpu),
    })
    say({ part: 'pair', pair, first: first === on ? 'on' : 'off', on: of(both.on), off: of(both.off) })
  }
  return measured
}

function report(measured: readonly Pair[], sampleUs: number): void {
  const on = (of: (one: Measured) => number) => median(measured.map((both) => of(both.on)))
  const ofJob = (cpu: (one: Measured) => number) =>
    rounded(100 * on((one) => ((one.samples * sampleUs) / 1e6 + cpu(one)) / (one.workCpu + one.aggregatorCpu)))
  say({
    part: 'accounting',
    sample_cpu_us: Math.round(sampleUs),
    samples: on((one) => one.samples),
    work_cpu_s: rounded(on((one) => one.workCpu)),
    aggregator_cpu_s: rounded(on((one) => one.aggregatorCpu)),
    aggregator_idle_cpu_s: rounded(on((one) => one.idleCpu)),
    services_percent: ofJob(() => 0),
    with_aggregator_above_idle_percent: ofJob((one) => Math.max(0, one.aggregatorCpu - one.idleCpu)),
    with_aggregator_percent: ofJob((one) => one.aggregatorCpu),
  })
  const percent = (of: (one: Measured) => number) =>
    rounded(median(measured.map((both) => (100 * (of(both.on) - of(both.off))) / of(both.off))))
  say({
    part: 'paired',
    pairs: measured.length,
    wall_median_percent: percent((one) => one.seconds),
    work_cpu_median_percent: percent((one) => one.workCpu),
    all_cpu_median_percent: percent((one) => one.workCpu + one.aggregatorCpu),
  })
}

interface Servers {
  readonly databaseUrl: string
  readonly natsUrl: string
}

interface Pair {
  readonly on: Measured
  readonly off: Measured
}
