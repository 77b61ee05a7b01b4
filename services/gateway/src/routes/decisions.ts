import {
  Decision,
  DecisionList,
  DecisionListQuery,
  DecisionParams,
  type NewDecision,
  NewDecision as NewDecisionBody,
  tagForm,
  WikiParams,
} from '@tagloom/contracts'
import {
  addPageTag,
  approveLabel,
  type DecisionRow,
  listDecisions,
  lockPage,
  MergeRefused,
  mergeTag,
  rejectPageTag,
  rejectTag,
  revokeDecision,
  type Transaction,
  type WikiRow,
} from '@tagloom/database'
import Type from 'typebox'
import type { Caller } from '../auth/authenticate.ts'
import { decodeCursor, toList } from '../http/cursor.ts'
import { ProblemError } from '../http/problem.ts'
import { vocabularyChanged } from '../vocabulary-changed.ts'
import { findPage, findTag, findWiki } from './find.ts'
import type { Routes } from './index.ts'

const tags = ['Decisions of people']

export const decisionRoutes: Routes = (deps) => async (app) => {
  const { db } = deps

  app.post(
    '/api/wikis/:wiki_id/decisions',
    {
      config: { scope: 'write' },
      schema: {
        tags,
        operationId: 'decide',
        summary: "Decide about a page's tag, a page or a tag; it overlays every job, past and future",
        params: WikiParams,
        body: NewDecisionBody,
        response: { 201: Decision },
      },
    },
    async (request, reply) => {
      const { params, body, caller } = request
      const wiki = await findWiki(db, params.wiki_id)
      const row = await deps.relay.commit(async (tx, owe) => {
        const id = await decide(tx, wiki, caller, body)
        owe(vocabularyChanged(request, wiki.id, body.kind))
        const [made] = await listDecisions(tx, { wikiId: wiki.id, limit: 1, id })
        return made!
      })
      return reply.code(201).header('location', `/api/wikis/${wiki.id}/decisions/${row.id}`).send(toDecision(row))
    },
  )

  app.get(
    '/api/wikis/:wiki_id/decisions',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'listDecisions',
        summary: 'List what people decided',
        params: WikiParams,
        querystring: DecisionListQuery,
        response: { 200: DecisionList },
      },
    },
    async ({ params, query }) => {
      const wiki = await findWiki(db, params.wiki_id)
      const limit = query.limit!
      const [afterId] = decodeCursor(query.cursor, 'id') ?? []
      const rows = await listDecisions(db, { wikiId: wiki.id, limit: limit + 1, afterId, kind: query.kind })
      return toList(rows, limit, (row) => [row.id], toDecision)
    },
  )

  app.delete(
    '/api/wikis/:wiki_id/decisions/:decision_id',
    {
      config: { scope: 'write' },
      schema: {
        tags,
        operationId: 'revokeDecision',
        summary: 'Take a decision back',
        params: DecisionParams,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { wiki_id, decision_id } = request.params
      await findWiki(db, wiki_id)
      await deps.relay.commit(async (tx, owe) => {
        if (!(await revokeDecision(tx, wiki_id, decision_id)))
          throw new ProblemError('decision_not_found', `Wiki ${wiki_id} has no decision ${decision_id}`)
        owe(vocabularyChanged(request, wiki_id, 'revoked'))
      })
      return reply.code(204).send(null)
    },
  )
}

async function decide(tx: Transaction, wiki: WikiRow, caller: Caller, body: NewDecision): Promise<number> {
  const by = { wikiId: wiki.id, decidedBy: caller.name }
  const page = (id: string) => findPage(tx, wiki.id, id)
  const tag = (label: string) => findTag(tx, wiki.id, label)
  switch (body.kind) {
    case 'added':
      return addPageTag(tx, by, await page(body.page_id), body.tag)
    case 'rejected':
      return body.page_id === undefined
        ? rejectTag(tx, by, await tag(body.tag))
        : rejectPageTag(tx, by, await page(body.page_id), await tag(body.tag))
    case 'locked':
      return lockPage(tx, by, wiki.currentJobId, await page(body.page_id))
    case 'approved':
      return approveLabel(tx, by, body.tag)
    case 'merged':
      if (tagForm(body.tag) === tagForm(body.into))
        throw new ProblemError('bad_request', `"${body.tag}" and "${body.into}" are the same tag already`)
      return mergeTag(tx, by, await tag(body.tag), await tag(body.into)).catch((cause) => {
        throw cause instanceof MergeRefused ? new ProblemError('tag_state_conflict', cause.message, { cause }) : cause
      })
  }
}

const toDecision = (row: DecisionRow): Decision => ({
  id: row.id,
  kind: row.kind,
  page_id: row.pageId,
  tag: row.tag,
  into: row.into,
  decided_by: row.decidedBy,
  created_at: row.createdAt,
})
