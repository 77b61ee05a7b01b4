import type { Readable } from 'node:stream'
import { ImportQuery, ImportReport, PageInput, WikiParams } from '@tagloom/contracts'
import { openPageMirror, type PageMirror, storePages } from '@tagloom/database'
import Type from 'typebox'
import { ProblemError } from '../http/problem.ts'
import { logOf } from '../http/request-log.ts'
import { compileValidator } from '../http/validation.ts'
import { importPages } from '../pages-import/import-pages.ts'
import { maxLineBytes, type ReadPage, readPage } from '../pages-import/read-page.ts'
import { splitArray } from '../pages-import/split-array.ts'
import { splitLines } from '../pages-import/split-lines.ts'
import { whileItFlows } from '../pages-import/while-it-flows.ts'
import { vocabularyChanged } from '../vocabulary-changed.ts'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

const lineTypes = ['application/x-ndjson', 'application/ndjson', 'application/jsonl']
/** A sender that is silent for so long is given up */
const silenceMs = 30_000
const aDayMs = 24 * 3600 * 1000
/** Each holds a connection of the database for as long as it lasts */
const maxMirrors = 2

export const importRoutes: Routes = (deps) => async (app) => {
  const { db } = deps
  let mirrors = 0
  // The body goes to the handler as it comes, whatever its length: nothing here may gather it.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(['application/json', ...lineTypes], (_request, payload, done) => done(null, payload))

  app.post(
    '/api/wikis/:wiki_id/pages',
    {
      config: { scope: 'write' },
      // The body is checked line by line; the rest as everywhere.
      validatorCompiler: (route) => (route.httpPart === 'body' ? () => true : compileValidator(route)),
      handlerTimeout: aDayMs,
      schema: {
        tags: ['Pages'],
        operationId: 'importPages',
        summary: 'Import pages: NDJSON, a page a line, or a JSON array, of any length',
        description:
          'Creates or updates by id. A bad line is reported and does not stop the others. What was stored before a broken connection stays; importing again is safe.',
        params: WikiParams,
        querystring: ImportQuery,
        body: {
          content: {
            'application/x-ndjson': { schema: PageInput },
            'application/json': { schema: Type.Array(PageInput) },
          },
        },
        response: { 200: ImportReport },
      },
    },
    async (request) => {
      const wiki = await findWiki(db, request.params.wiki_id)
      if (request.headers['content-encoding'])
        throw new ProblemError('unsupported_media_type', 'Send the pages without content-encoding')
      const began = performance.now()
      const mirror = request.query.replace ? await mirrorOf(wiki.id) : undefined
      let tagsChanged = false
      try {
        const report = await importPages(readPages(request.raw, request.headers['content-type']), {
          batchSize: deps.config.BATCH_INSERT_SIZE,
          async store(pages) {
            const stored = await storePages(db, wiki.id, pages)
            tagsChanged ||= stored.tagsChanged
            await mirror?.keep(stored.pageIds)
            return stored
          },
          ...(mirror && {
            async deleteOthers() {
              const deleted = await mirror.deleteOthers()
              tagsChanged ||= deleted > 0
              return deleted
            },
          }),
        })
        count(report)
        const { created, updated, unchanged, rejected } = report
        const duration_ms = Math.round(performance.now() - began)
        logOf(deps.log, request).event('pages_imported', {
          wiki_id: wiki.id,
          created,
          updated,
          unchanged,
          rejected,
          duration_ms,
        })
        return report
      } finally {
        // Also of an import that broke off: what was stored before stays.
        if (tagsChanged) await deps.relay.commit(async (_tx, owe) => owe(vocabularyChanged(request, wiki.id, 'import')))
        if (mirror) {
          mirrors--
          await mirror.close()
        }
      }
    },
  )

  function count(report: ImportReport): void {
    for (const outcome of ['created', 'updated', 'unchanged', 'deleted', 'rejected'] as const)
      deps.metrics.pages.inc({ outcome }, report[outcome])
  }

  async function mirrorOf(wikiId: number): Promise<PageMirror> {
    if (mirrors >= maxMirrors)
      throw new ProblemError('unavailable', `${maxMirrors} replacing imports run already: try again later`, {
        retryAfterSeconds: 30,
      })
    mirrors++
    const mirror = await openPageMirror(db, wikiId).catch((error) => {
      mirrors--
      throw error
    })
    if (mirror) return mirror
    mirrors--
    throw new ProblemError(
      'import_in_progress',
      `Another import with ?replace=true of wiki ${wikiId} runs: wait for it`,
    )
  }
}

async function* readPages(body: Readable, contentType: string | undefined): AsyncGenerator<ReadPage> {
  const chunks = whileItFlows(body, silenceMs)
  const items = contentType?.startsWith('application/json')
    ? splitArray(chunks, maxLineBytes)
    : splitLines(chunks, maxLineBytes)
  for await (const item of items) yield readPage(item)
}
