import type { ImportReport, Job } from '@tagloom/contracts'
import type { GatewayClient } from './gateway-client.ts'
import type { ProgressView } from './progress-view.ts'
import type { WikiSource } from './wiki-source.ts'

const NEWLINE = 10

/** Sends the wiki's pages and shows how many went; a wiki that is there already changes only where they differ. */
export async function importWiki(
  client: GatewayClient,
  wikiId: number,
  source: WikiSource,
  view: ProgressView,
  signal: AbortSignal,
): Promise<ImportReport> {
  let sent = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    sent = 0
    for await (const chunk of source.lines()) {
      for (const byte of chunk) if (byte === NEWLINE) sent++
      yield chunk
      // The last page is done when the gateway says so.
      if (sent !== source.pageCount) view.update('import', sent, source.pageCount, 'pages')
    }
  }
  const report = await client.importPages(wikiId, counted, { replace: true, signal })
  view.update('import', report.received, report.received, 'pages')
  view.finish('import')
  return report
}

/** Asks for a job and shows its stages until it ends, however it ends. */
export async function runJob(
  client: GatewayClient,
  wikiId: number,
  view: ProgressView,
  signal: AbortSignal,
): Promise<Job> {
  const requested = await client.createJob(wikiId, signal)
  for await (const news of client.jobNews(requested.id, signal)) {
    if (news.kind === 'progress') {
      const { stage, done, total, unit, seconds_left } = news.progress
      view.update(stage, done, total, unit, seconds_left)
      continue
    }
    showStages(news.job, view)
    if (news.kind === 'ended') return news.job
  }
  throw new Error(`the events of job ${requested.id} ended before the job did`)
}

/** What a job says of its stages as a whole: begun ones appear, completed ones end. Events tell the counts between. */
function showStages(job: Job, view: ProgressView): void {
  for (const { stage, status, done, total, unit } of job.stages) {
    if (status === 'pending') continue
    if (!view.knows(stage)) view.update(stage, done, total, unit)
    if (status === 'completed') view.finish(stage)
  }
}
