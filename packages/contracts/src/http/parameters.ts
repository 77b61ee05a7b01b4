import Type from 'typebox'

const wikiId = Type.Integer({ minimum: 1, maximum: 2_147_483_647 })
const tagId = Type.Integer({ minimum: 1, maximum: 2_147_483_647 })
const pageId = Type.String({ minLength: 1, maxLength: 1000, description: 'The id that the page was imported with' })
const jobId = Type.String({ minLength: 1, maxLength: 200 })
const numericId = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })

export const WikiParams = Type.Object({ wiki_id: wikiId })
export const PageParams = Type.Object({ wiki_id: wikiId, page_id: pageId })
export const TagParams = Type.Object({ wiki_id: wikiId, tag_id: tagId })
export const JobParams = Type.Object({ job_id: jobId })
export const DecisionParams = Type.Object({ wiki_id: wikiId, decision_id: numericId })
export const ApiKeyParams = Type.Object({ key_id: numericId })
export const AssignmentParams = Type.Object({ wiki_id: wikiId, assignment_id: jobId })
