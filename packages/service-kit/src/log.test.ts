import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { createLog, type Log, openLog } from './log.ts'
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
  log.pino
    .child({ token: 's3cret' })
    .info({ a: [{ b: { c: { cookie: ['s3cret'] } } }], token_count: 7 }, 'a "secret": is said')
  expect(lines.join('')).not.toContain('s3cret')
  expect(lines.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true)
  expect(JSON.parse(lines[2] as string)).toMatchObject({
    token: '[redacted]',
    a: [{ b: { c: { cookie: '[redacted]' } } }],
    token_count: 7,
    msg: 'a "secret": is said',
  })
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

it('is one line of plain characters whatever a title holds', () => {
  const { lines, log } = written()
  const title = 'a\nb\r\nc\u2028d\u2029e\u0085f \u001b[31mred\u001b[0m \u009b2J \u0007 \ufeff"quoted" \\ \ud800'
  log.child(ids).event('job_cancelled', { reason: title })
  log.pino.info({ page: { title } }, title)
  log.pino.error({ err: new Error(title) }, 'failed')
  for (const line of lines) {
    expect(line).toMatch(/^[^\p{Cc}\u2028\u2029]*\n$/u)
    for (const shown of readableLine(line, false).trimEnd().split('\n'))
      expect(shown).toMatch(/^[^\p{Cc}\p{Cf}\u2028\u2029]*$/u)
  }
  expect(JSON.parse(lines[0]!).reason).toBe(title)
  expect(JSON.parse(lines[1]!).page.title).toBe(title)
  expect(readableLine(lines[1]!, false).split('\n')).toHaveLength(2)
})

/** Opens a log file as services do, works with it at a time of choice, and closes it. */
async function withFileAt(file: string, now: Date, work: (log: Log, shown: string[]) => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now })
  try {
    const shown: string[] = []
    const settings = { service: 'tagger', level: 'INFO', format: 'json', file } as const
    const log = await openLog(settings, { write: (line) => void shown.push(line) })
    await work(log, shown)
    await log.close()
  } finally {
    vi.useRealTimers()
  }
}
const say = (log: Log, version: string) => log.event('service_starting', { version, pid: 1 })
const versionsIn = async (file: string): Promise<string[]> =>
  (await readFile(file, 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).version)

it('begins a new file each day, and after a start on another day goes on in a new one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tagloom-log-'))
  const file = join(folder, 'tagger.log')
  await withFileAt(file, new Date(2026, 0, 24, 23, 59), async (log) => {
    say(log, 'before midnight')
    await vi.advanceTimersByTimeAsync(120_000)
    await vi.waitUntil(async () => (await readdir(folder)).length === 2, { timeout: 5_000 })
    say(log, 'after midnight')
  })
  await withFileAt(file, new Date(2026, 0, 25, 12, 0), async (log) => say(log, 'same day'))
  await withFileAt(file, new Date(2026, 0, 27, 12, 0), async (log) => say(log, 'two days later'))
  const files = (await readdir(folder)).sort()
  expect(files.map((name) => name.replace(/\.\d+\.log$/, ''))).toEqual(
    expect.arrayContaining(['tagger.2026-01-24', 'tagger.2026-01-25', 'tagger.2026-01-27']),
  )
  const versions = await Promise.all(files.map((name) => versionsIn(join(folder, name))))
  expect(versions.flat()).toEqual(['before midnight', 'after midnight', 'same day', 'two days later'])
  await rm(folder, { recursive: true })
})

it('begins a new file at 20 MB and keeps seven old ones at most, the newest', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tagloom-log-'))
  const settings = { service: 'tagger', level: 'INFO', format: 'json', file: join(folder, 'tagger.log') } as const
  const log = await openLog(settings, { write: () => {} })
  const padding = 'x'.repeat(100_000)
  const numbers = async () => (await readdir(folder)).map((name) => Number(name.split('.')[2])).sort((a, b) => a - b)
  const newest = async () => (await numbers()).at(-1)!
  for (let rotations = 1; rotations <= 9; rotations++) {
    for (let lines = 0; lines < 210; lines++) log.pino.info({ padding }, 'filling')
    await vi.waitUntil(async () => (await newest()) > rotations, { timeout: 20_000 })
  }
  await vi.waitUntil(async () => (await numbers()).length <= 8, { timeout: 5_000 })
  expect([
    [3, 4, 5, 6, 7, 8, 9, 10],
    [4, 5, 6, 7, 8, 9, 10],
  ]).toContainEqual(await numbers())
  const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size))
  expect(Math.max(...sizes)).toBeLessThan(22_100_000)
  await log.close()
  await rm(folder, { recursive: true })
}, 60_000)

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
