import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createLog, openLog } from './log.ts'
import { readableLine } from './readable-line.ts'
import { captureLog } from './testing.ts'

const written = (level: 'DEBUG' | 'INFO' | 'WARNING' = 'INFO') => {
  const lines: string[] = []
  return { lines, log: createLog({ service: 'tagger', level }, [{ write: (line) => void lines.push(line) }]) }
}
const ids = { wiki_id: 1, job_id: 'cluster_wiki_1_abc' }

it('writes an event as one JSON line with time, level, service and the ids of the child', () => {
  const { lines, log } = written()
  log.child({ ...ids, request_id: undefined }).event('stage_started', { stage: 'embed', batches: 3 })
  expect(JSON.parse(lines[0] as string)).toEqual({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    level: 'INFO',
    service: 'tagger',
    event: 'stage_started',
    ...ids,
    stage: 'embed',
    batches: 3,
  })
})

it('writes nothing below its level, and the words of LOG_LEVEL as levels', () => {
  const { lines, log } = written('WARNING')
  log.event('cluster_created', { ...ids, cluster_id: 1, layer: 0, pages: 3 })
  log.pino.info('quiet')
  log.event('job_failed', { ...ids, code: 'x', reason: 'y', attempt: 1 })
  log.pino.error('loud')
  expect(lines.map((line) => JSON.parse(line).level)).toEqual(['CRITICAL', 'ERROR'])
})

it('writes no credentials: not in fields that hold them, not inside addresses', () => {
  const { lines, log } = written()
  log.pino.info({ headers: { authorization: 'Bearer s3cret', 'x-api-key': 's3cret' }, password: 's3cret' }, 'request')
  log.event('connection_lost', { server: 'postgres', reason: 'cannot reach postgres://tagloom:s3cret@db:5432/tagloom' })
  expect(lines.join('')).not.toContain('s3cret')
  expect(lines[1]).toContain('postgres://tagloom:[redacted]@db:5432/tagloom')
})

it('makes a line that a person reads', () => {
  const { lines, log } = written()
  log.child(ids).event('job_cancelled', { reason: 'not needed any more' })
  const shown = readableLine(lines[0] as string, false)
  expect(shown).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARNING {2}tagger job_cancelled wiki_id=1 job_id=cluster_wiki_1_abc /)
  expect(shown).toContain('reason="not needed any more"\n')
  expect(readableLine('not JSON\n', false)).toBe('not JSON\n')
})

it('shows the stack of an error below its line', () => {
  const { lines, log } = written()
  log.pino.error({ err: new Error('broke') }, 'failed')
  expect(readableLine(lines[0] as string, false)).toMatch(/failed\n {2}Error: broke\n {2,}at /)
})

it('writes JSON to a rotated file whatever is shown, and all of it is there once the log is closed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tagloom-log-'))
  const settings = {
    service: 'tagger',
    level: 'INFO',
    format: 'readable',
    file: join(folder, 'logs', 'tagger.log'),
  } as const
  const shown: string[] = []
  const log = await openLog(settings, { write: (line) => void shown.push(line) })
  for (let batches = 0; batches < 50; batches++) log.event('stage_started', { ...ids, stage: 'embed', batches })
  await log.close()
  const files = await readdir(join(folder, 'logs'))
  expect(files).toHaveLength(1)
  const lines = (await readFile(join(folder, 'logs', files[0] as string), 'utf8')).trim().split('\n')
  expect(lines).toHaveLength(50)
  expect(JSON.parse(lines[49] as string)).toMatchObject({ event: 'stage_started', batches: 49 })
  expect(shown[49]).toMatch(/stage_started .* batches=49\n$/)
  await rm(folder, { recursive: true })
})

it('in tests an event that is not as declared throws', () => {
  const log = captureLog()
  expect(() => log.event('stage_started', { stage: 'embed', batches: 1 })).toThrow(/stage_started is not as declared/)
  log.child(ids).event('stage_started', { stage: 'embed', batches: 1 })
  expect(log.of('stage_started')).toHaveLength(2)
})

it('writes what the database said about a statement, without its parameters', () => {
  const { lines, log } = written()
  const cause = Object.assign(new Error('value too long'), { code: '22001' })
  const err = new Error('Failed query: insert …\nparams: the text of a page', { cause })
  log.pino.error({ err }, 'failed')
  expect(lines[0]).not.toContain('the text of a page')
  const message = 'the database refused a statement: value too long'
  const stack = expect.stringMatching(/^Error: the database refused .*\n +at /)
  expect(JSON.parse(lines[0] as string).err).toEqual({ type: 'Error', code: '22001', message, stack })
})
