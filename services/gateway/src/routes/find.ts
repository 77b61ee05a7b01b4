import { tagForm } from '@tagloom/contracts'
import {
  type Executor,
  findPageId,
  findTagId,
  type JobView,
  readJobView,
  readWiki,
  type WikiRow,
} from '@tagloom/database'
import { type Caller, refuseOtherWiki } from '../auth/authenticate.ts'
import { ProblemError } from '../http/problem.ts'

/** Each finds what a path or body names, or answers with its 404. */

export async function findWiki(db: Executor, wikiId: number): Promise<WikiRow> {
  const wiki = await readWiki(db, wikiId)
  if (!wiki) throw noWiki(wikiId)
  return wiki
}

export const noWiki = (wikiId: number): ProblemError => new ProblemError('wiki_not_found', `There is no wiki ${wikiId}`)

/** A job's path names no wiki, so whether the caller may see it is asked here. */
export async function findJob(db: Executor, caller: Caller, jobId: string): Promise<JobView> {
  const job = await readJobView(db, jobId)
  if (!job) throw noJob(jobId)
  refuseOtherWiki(caller, job.wikiId)
  return job
}

export const noJob = (jobId: string): ProblemError => new ProblemError('job_not_found', `There is no job ${jobId}`)

export async function findPage(db: Executor, wikiId: number, externalId: string): Promise<number> {
  const pageId = await findPageId(db, wikiId, externalId)
  if (pageId === undefined) throw new ProblemError('page_not_found', `Wiki ${wikiId} has no page "${externalId}"`)
  return pageId
}

export async function findTag(db: Executor, wikiId: number, label: string): Promise<number> {
  const tagId = await findTagId(db, wikiId, tagForm(label))
  if (tagId === undefined) throw new ProblemError('tag_not_found', `Wiki ${wikiId} has no tag "${label}"`)
  return tagId
}
