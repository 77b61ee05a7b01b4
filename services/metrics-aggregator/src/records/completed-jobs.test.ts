import { expect, it } from 'vitest'
import { keepCompletedJobs } from './completed-jobs.ts'

it('keeps the jobs that completed last', () => {
  const completed = keepCompletedJobs(2)
  for (const id of ['a', 'b', 'a', 'c']) completed.add(id)
  expect(['a', 'b', 'c'].map((id) => completed.has(id))).toEqual([true, false, true])
})
