import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { rotateLog } from './rotate-log.ts'

let folder: string
let file: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tagloom-logs-'))
  file = join(folder, 'tagger.log')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const text = (of: string) => readFileSync(of, 'utf8')

it('a process that is writing its log goes on in the emptied file, and what it wrote before is kept beside it', async () => {
  const log = openSync(file, 'a')
  // Writes a line for each that it is asked for.
  const echo = `process.stdin.on('data', (asked) => { process.stdout.write(asked); process.send('written') })`
  const child = spawn(process.execPath, ['-e', echo], { stdio: ['pipe', log, 'inherit', 'ipc'] })
  closeSync(log)
  const write = async (line: string) => {
    child.stdin?.write(`${line}\n`)
    await once(child, 'message')
  }
  await write('first')
  await write('second')
  expect(rotateLog(file, 100)).toBe(false)
  expect(rotateLog(file, 10)).toBe(true)
  await write('third')
  child.kill()
  await once(child, 'exit')
  expect(text(`${file}.1`)).toBe('first\nsecond\n')
  expect(text(file)).toBe('third\n')
})

it('keeps two files of a log: the next rotation replaces what was put aside', () => {
  writeFileSync(file, 'x'.repeat(3_000_000))
  expect(rotateLog(file, 10)).toBe(true)
  expect(text(`${file}.1`)).toBe('x'.repeat(3_000_000))
  expect(text(file)).toBe('')
})

it('there is nothing to do where there is no log', () => {
  expect(rotateLog(join(folder, 'none.log'), 0)).toBe(false)
})
