import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

/** A repository of nothing but the bootstrap, with an npx and a pnpm that only note how they were called. */
describe('bootstrap.mjs', () => {
  let root: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'bootstrap-'))
    put('packages/launcher/bootstrap.mjs', readFileSync(join(import.meta.dirname, '..', 'bootstrap.mjs'), 'utf8'))
    put('pnpm-lock.yaml', 'lockfileVersion: 9')
    put('pnpm-workspace.yaml', 'packages: []')
    put('packages/launcher/src/main.ts', 'console.log("ran", ...process.argv.slice(2)); process.exit(7)')
    put('bin/npx', `#!/bin/sh\necho "npx $*" >> ${root}/calls\necho ${root}/bin/pnpm\n`)
    put(
      'bin/pnpm',
      `#!/bin/sh\necho "pnpm $*" >> ${root}/calls\nmkdir -p node_modules/node/bin\nln -sf ${process.execPath} node_modules/node/bin/node\n`,
    )
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  function put(path: string, content: string): void {
    const file = join(root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
    chmodSync(file, 0o755)
  }

  function begin(...args: string[]) {
    return spawn(process.execPath, [join(root, 'packages/launcher/bootstrap.mjs'), ...args], {
      env: { PATH: `${join(root, 'bin')}:/usr/bin:/bin`, HOME: root },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }
  async function run(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
    const child = begin(...args)
    let out = ''
    let err = ''
    child.stdout.on('data', (data) => {
      out += data
    })
    child.stderr.on('data', (data) => {
      err += data
    })
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    return { code, out, err }
  }
  const calls = (): string[] => readFileSync(join(root, 'calls'), 'utf8').trim().split('\n')

  it('installs once by the pinned pnpm, then runs the command with its arguments and exit code', async () => {
    const first = await run('start', '--once')
    expect(first).toMatchObject({ code: 7, out: 'ran start --once\n' })
    expect(first.err).toContain('installing the pinned packages')
    expect(calls()).toEqual([
      'npx --yes --package=pnpm@12.21.0 -c command -v pnpm',
      'pnpm install --frozen-lockfile --reporter=append-only',
    ])
    const began = Date.now()
    expect(await run('start')).toEqual({ code: 7, out: 'ran start\n', err: '' })
    expect(Date.now() - began).toBeLessThan(1_000)
    expect(calls()).toHaveLength(2)
  })

  it('installs again when the lockfile changes', async () => {
    await run('start')
    put('pnpm-lock.yaml', 'lockfileVersion: 10')
    await run('start')
    expect(calls()).toHaveLength(4)
  })

  it('shows the end of the log when the install fails, and leaves no stamp', async () => {
    put('bin/pnpm', '#!/bin/sh\necho "ERR_PNPM_OUTDATED_LOCKFILE"\nexit 1\n')
    const { code, err } = await run('start')
    expect(code).toBe(1)
    expect(err).toMatch(/ERR_PNPM_OUTDATED_LOCKFILE[\s\S]*pnpm install failed/)
    expect(existsSync(join(root, 'node_modules/.tagloom-stamp'))).toBe(false)
  })

  it('says what it expects when the command is unknown', async () => {
    expect(await run('stat')).toMatchObject({
      code: 2,
      err: expect.stringContaining('expected one of start, logs, test, bench, got "stat"'),
    })
  })

  it('hands signals on and gives the exit code of the command', async () => {
    put(
      'packages/launcher/src/main.ts',
      'process.on("SIGTERM", () => process.exit(42)); console.log("up"); setInterval(() => {}, 1000)',
    )
    const child = begin('start')
    const closed = new Promise<number | null>((resolve) => child.once('close', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.kill('SIGTERM')
    expect(await closed).toBe(42)
  })

  it('needs nothing of Node that Node 20 has not', () => {
    const source = readFileSync(join(root, 'packages/launcher/bootstrap.mjs'), 'utf8')
    const imported = [...source.matchAll(/from '([^']+)'/g)].map((found) => found[1])
    expect(imported.every((name) => name?.startsWith('node:'))).toBe(true)
    expect(source).not.toMatch(/import\.meta\.dirname|process\.loadEnvFile|\bRegExp\.escape|\bPromise\.try/)
  })
})
