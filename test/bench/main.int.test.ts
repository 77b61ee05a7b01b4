import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { testEnvironment } from '@tagloom/local-servers/testing'
import { expect, it } from 'vitest'

const pidFiles = ['postmaster.pid', 'nats-server.pid']

it('a benchmark that is ended by SIGTERM leaves neither servers nor files', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tagloom-bench-test-'))
  chmodSync(folder, 0o755)
  const args = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'main.ts'), 'aggregator']
  const bench = spawn(process.execPath, [...args, '--samples', '2000'], {
    env: { ...testEnvironment(), TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    // Its first line comes when both servers run and the second part begins, which takes seconds.
    await Promise.race([once(bench.stdout, 'data'), once(bench, 'exit')])
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    const pids = files
      .filter((file) => pidFiles.includes(basename(file)))
      .map((file) => Number.parseInt(readFileSync(join(folder, file), 'utf8'), 10))
    expect(pids).toHaveLength(pidFiles.length)
    expect(pids.filter(isAlive)).toEqual(pids)
    bench.kill('SIGTERM')
    const [code] = await once(bench, 'exit')
    expect(code).toBe(128 + 15)
    expect(pids.filter(isAlive)).toEqual([])
    expect(readdirSync(folder).filter((name) => name.startsWith('tagloom-bench-'))).toEqual([])
  } finally {
    bench.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
}, 60_000)

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
