// The first thing that runs on a fresh clone: plain JavaScript for whatever Node (20 or later) the machine has.
// It installs what the lockfile pins, unless that is done, and goes on in the pinned Node 24.
//
//   node packages/launcher/bootstrap.mjs start|test|bench|logs [arguments]
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_NODE = 20
const PNPM = 'pnpm@12.21.0'
const INSTALL_TIMEOUT_MS = 15 * 60_000

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const modules = join(root, 'node_modules')
const stampFile = join(modules, '.tagloom-stamp')
const windows = process.platform === 'win32'

/** What each command runs, in the pinned Node. */
const commands = {
  start: ['packages/launcher/src/main.ts', 'start'],
  logs: ['packages/launcher/src/main.ts', 'logs'],
  test: ['node_modules/vitest/vitest.mjs', 'run'],
  bench: ['test/bench/main.ts'],
}

const [name = '', ...rest] = process.argv.slice(2)
if (!(name in commands)) stop(`expected one of ${Object.keys(commands).join(', ')}, got "${name}"`, 2)
const major = Number(process.versions.node.split('.')[0])
if (major < OLDEST_NODE)
  stop(`expected Node ${OLDEST_NODE} or later, this is ${process.versions.node}. See https://nodejs.org`, 1)

const pnpm = installed() ?? install()
run(join(modules, 'node', 'bin', windows ? 'node.exe' : 'node'), [...commands[name], ...rest], pnpm)

/** The path of pnpm when the stamp says that the lockfile's packages lie here; else undefined. */
function installed() {
  try {
    const stamp = JSON.parse(readFileSync(stampFile, 'utf8'))
    return stamp.key === stampKey() && existsSync(stamp.pnpm) && existsSync(join(modules, 'node', 'bin'))
      ? stamp.pnpm
      : undefined
  } catch {
    return undefined
  }
}

/** Packages differ with the lockfile and the machine; the pinned Node is in the lockfile. */
function stampKey() {
  const hash = createHash('sha256')
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) hash.update(readFileSync(join(root, file)))
  return `${hash.digest('hex')} ${process.platform}-${process.arch} ${PNPM}`
}

function install() {
  const began = Date.now()
  const folder = mkdtempSync(join(tmpdir(), 'tagloom-install-'))
  const log = join(folder, 'install.log')
  console.error('tagloom: installing the pinned packages and Node 24 into node_modules (once; about a minute) …')
  const found = quietly(windows ? 'npx.cmd' : 'npx', ['--yes', `--package=${PNPM}`, '-c', 'command -v pnpm'], log)
  const pnpm = found.stdout.trim().split('\n').at(-1) ?? ''
  if (found.status !== 0 || !existsSync(pnpm)) fail(`${PNPM} could not be fetched by npx`, log)
  const done = quietly(pnpm, ['install', '--frozen-lockfile', '--reporter=append-only'], log)
  if (done.status !== 0) fail('pnpm install failed', log)
  mkdirSync(modules, { recursive: true })
  writeFileSync(stampFile, `${JSON.stringify({ key: stampKey(), pnpm })}\n`)
  rmSync(folder, { recursive: true, force: true })
  console.error(`tagloom: installed in ${Math.round((Date.now() - began) / 1000)} s`)
  return pnpm
}

function quietly(command, args, log) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: INSTALL_TIMEOUT_MS,
    maxBuffer: 64 << 20,
    shell: windows,
    env: { ...process.env, CI: 'true' },
  })
  const said = `$ ${command} ${args.join(' ')}\n${result.stdout ?? ''}${result.stderr ?? ''}${result.error ? `${result.error.message}\n` : ''}`
  writeFileSync(log, said, { flag: 'a' })
  return result
}

function fail(what, log) {
  const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-25).join('\n')
  console.error(tail)
  stop(`${what}; the lines above are the end of ${log}`, 1)
}

function stop(message, code) {
  console.error(`tagloom: ${message}`)
  process.exit(code)
}

/**
 * Goes on in a child, which gets every signal and gives the exit code. It sees by the channel when this process dies.
 * ONNX Runtime reports its use to its makers unless it is told not to, and it reads that when its library is loaded.
 */
function run(node, args, pnpm) {
  const path = [join(modules, '.bin'), dirname(pnpm), process.env.PATH ?? ''].join(delimiter)
  const child = spawn(node, args, {
    cwd: root,
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ORT_DISABLE_TELEMETRY: '1', ...process.env, PATH: path },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => stop(`${node} does not run: ${error.message}. Delete node_modules and try again.`, 1))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}
