import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commonEnvironment } from '@tagloom/contracts'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ownApiKey } from './api-key.ts'
import { joinedLogs, parseLogsOptions } from './logs.ts'
import { help, parseStartOptions } from './start-options.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'launcher-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

describe('the options of npm start', () => {
  it('are all told by --help', () => {
    expect(parseStartOptions([])).toEqual({ once: false, help: false, wiki: undefined, name: undefined })
    expect(parseStartOptions(['--once', '--wiki', 'x', '--name', 'n'])).toMatchObject({
      once: true,
      wiki: 'x',
      name: 'n',
    })
    for (const option of ['--once', '--wiki', '--name', '--help']) expect(help).toContain(option)
  })

  it('are refused by name when they are not understood', () => {
    expect(() => parseStartOptions(['--wikis'])).toThrow(/--wikis/)
    expect(() => parseStartOptions(['--wiki', ''])).toThrow(/--wiki expects a path/)
  })

  it('have every environment variable of the services in .env.example', () => {
    const example = readFileSync(join(import.meta.dirname, '..', '..', '..', '.env.example'), 'utf8')
    const set = (name: string): boolean => new RegExp(`^#? ?${name}=`, 'm').test(example)
    // Set by whoever starts a service, never by hand.
    const byStarter = ['HOST', 'PORT', 'NATS_PREFIX']
    expect(Object.keys(commonEnvironment).filter((name) => !set(name) && !byStarter.includes(name))).toEqual([])
  })
})

describe('the API key', () => {
  it('is made once and read only by its owner', () => {
    const key = ownApiKey(home, undefined)
    expect(ownApiKey(home, '')).toBe(key)
    expect(key).toMatch(/^tl_[\w-]{32}$/)
    expect(statSync(join(home, 'api-key')).mode & 0o777).toBe(0o600)
  })

  it('is the given one where there is one, unless that is too short to be safe', () => {
    expect(ownApiKey(home, 'a-key-of-our-own-choice')).toBe('a-key-of-our-own-choice')
    expect(() => ownApiKey(home, 'short')).toThrow(/TAGLOOM_API_KEY has 5 characters, expected 16 or more/)
  })
})

describe('npm run logs', () => {
  const joined = async (job: string): Promise<string[]> => {
    const lines: string[] = []
    for await (const line of joinedLogs({ job }, { root: '/', env: { TAGLOOM_HOME: home } })) lines.push(line)
    return lines
  }

  it('joins the lines of one job from all services in the order of their time', async () => {
    const log = join(home, 'logs')
    await expect(joined('j1')).rejects.toThrow(/expected logs in/)
    const { mkdirSync } = await import('node:fs')
    mkdirSync(log)
    writeFileSync(
      join(log, 'a.log'),
      '{"time":3,"job_id":"j1"}\n{"time":1,"job_id":"j1"}\nnot json j1\n{"time":1,"job_id":"j12"}\n',
    )
    writeFileSync(join(log, 'b.log'), '{"time":"1970-01-01T00:00:00.002Z","job_id":"j1"}\n{"time":9}\n')
    expect((await joined('j1')).map((line) => JSON.parse(line).time)).toEqual([1, '1970-01-01T00:00:00.002Z', 3])
    await expect(joined('j')).rejects.toThrow(/no line in .* has job_id "j"/)
  })

  it('says how it is called', () => {
    expect(() => parseLogsOptions([])).toThrow(/npm run logs -- --job/)
  })
})
