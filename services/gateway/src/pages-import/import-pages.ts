import type { ImportReport } from '@tagloom/contracts'
import type { PageToStore, StoredPages } from '@tagloom/database'
import type { ReadPage } from './read-page.ts'

/** Most lines that a report names; it counts all. */
const maxErrors = 1000
/** A chunk is stored when it has this many characters, however few its pages. */
const chunkCharacters = 4_000_000

export interface ImportTarget {
  /** Most pages in one write */
  readonly batchSize: number
  /** Stores pages, no two with the same id. */
  store(pages: readonly PageToStore[]): Promise<StoredPages>
  /** Deletes the wiki's pages that no `store` named. Absent where the import does not replace. */
  readonly deleteOthers?: () => Promise<number>
}

/**
 * Stores pages as they come, a chunk at a time; nothing is read while a chunk is written, so memory stays constant and the sender
 * waits. Of two pages with the same id the later one stays. A second import of the same pages changes nothing.
 */
export async function importPages(pages: AsyncIterable<ReadPage>, target: ImportTarget): Promise<ImportReport> {
  const report: ImportReport = {
    received: 0,
    created: 0,
    updated: 0,
    unchanged: 0,
    deleted: 0,
    rejected: 0,
    repaired: 0,
    errors: [],
  }
  let chunk = new Map<string, PageToStore>()
  let characters = 0
  const flush = async () => {
    if (chunk.size === 0) return
    const stored = await target.store([...chunk.values()])
    report.created += stored.created
    report.updated += stored.updated
    report.unchanged += stored.unchanged
    chunk = new Map()
    characters = 0
  }
  for await (const read of pages) {
    report.received++
    if ('error' in read) {
      report.rejected++
      if (report.errors.length < maxErrors) report.errors.push(read.error)
      continue
    }
    if (read.repaired) report.repaired++
    if (chunk.has(read.page.externalId)) await flush()
    chunk.set(read.page.externalId, read.page)
    characters += read.page.text.length
    if (chunk.size >= target.batchSize || characters >= chunkCharacters) await flush()
  }
  await flush()
  if (target.deleteOthers) {
    const reason = whyNotDelete(report)
    if (reason) report.replace_skipped = reason
    else report.deleted = await target.deleteOthers()
  }
  return report
}

/** A page must not be lost because its line was bad, nor a whole wiki because an export came out empty. */
function whyNotDelete(report: ImportReport): string | undefined {
  if (report.rejected > 0)
    return `${report.rejected} lines were rejected, so it is not known which pages are gone: mend them and import again`
  if (report.received === 0) return 'the import held no page: delete the pages themselves if that is meant'
  return undefined
}
