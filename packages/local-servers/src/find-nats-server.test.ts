import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { arch, platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findNatsServer, PINNED_NATS } from './find-nats-server.ts'

const goArch = arch() === 'x64' ? 'amd64' : arch()
const archiveName = `nats-server-v${PINNED_NATS}-${platform()}-${goArch}.tar.gz`
const cached = `.cache/tagloom/nats-server-${PINNED_NATS}/nats-server`

/** A program that answers --version, standing in for the 18 MB one. */
const program = (version: string): string => `#!/bin/sh\necho "nats-server: v${version}"\n`

function tarGz(name: string, content: string): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
  const body = Buffer.alloc(Math.ceil(content.length / 512) * 512)
  body.write(content)
  return gzipSync(Buffer.concat([header, body, Buffer.alloc(1024)]))
}

describe('findNatsServer', () => {
  let home: string
  let server: Server
  let releases: string
  let files: Map<string, Buffer | 'silence'>
  let asked: string[]

  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'find-nats-'))
    files = new Map()
    asked = []
    server = createServer((request, response) => {
      asked.push(request.url!)
      const file = files.get(request.url!.split('/').at(-1)!)
      if (file === 'silence') return
      response.writeHead(file ? 200 : 404).end(file)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    releases = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterEach(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    rmSync(home, { recursive: true, force: true })
  })

  function install(folder: string, version: string): string {
    const file = join(home, folder, 'nats-server')
    mkdirSync(join(home, folder), { recursive: true })
    writeFileSync(file, program(version))
    chmodSync(file, 0o755)
    return file
  }

  function offer(archive: Buffer, sum = createHash('sha256').update(archive).digest('hex')): void {
    files.set(archiveName, archive)
    files.set('SHA256SUMS', Buffer.from(`${'0'.repeat(64)}  other.zip\n${sum}  ${archiveName}\n`))
  }

  // The shell that the stand-in program needs is outside these folders: PATH only says where to look.
  const find = (env: Record<string, string> = {}): Promise<string> =>
    findNatsServer({ env: { HOME: home, PATH: join(home, 'bin'), ...env }, releases, connectTimeoutMs: 300 })

  it('takes the one on PATH before any other', async () => {
    const onPath = install('bin', '2.12.0')
    install('go/bin', '2.15.2')
    expect(await find()).toBe(onPath)
    expect(asked).toEqual([])
  })

  it('passes over one that is too old and takes the one in GOBIN', async () => {
    install('bin', '2.9.10')
    const inGobin = install('tools', '2.11.0')
    expect(await find({ GOBIN: join(home, 'tools') })).toBe(inGobin)
  })

  it('finds one in the bin folder of GOPATH, and in ~/go/bin without GOPATH', async () => {
    const inGopath = install('gopath/bin', '2.15.2')
    const inHome = install('go/bin', '2.15.2')
    expect(await find({ GOPATH: join(home, 'gopath') })).toBe(inGopath)
    expect(await find()).toBe(inHome)
  })

  it('downloads the pinned release once, and then takes it from the cache', async () => {
    offer(tarGz(`nats-server-v${PINNED_NATS}/nats-server`, program(PINNED_NATS)))
    expect(await find()).toBe(join(home, cached))
    expect(asked).toHaveLength(2)
    expect(await find()).toBe(join(home, cached))
    expect(asked).toHaveLength(2)
  })

  it('uses nothing of an archive whose checksum differs', async () => {
    offer(tarGz('x/nats-server', program(PINNED_NATS)), 'a'.repeat(64))
    await expect(find()).rejects.toThrow(/has SHA-256 [0-9a-f]{64}, expected a{64}: it was not used/)
    expect(existsSync(join(home, cached))).toBe(false)
  })

  it('uses nothing of an archive that another file lies in', async () => {
    offer(tarGz('x/README.md', 'nothing here'))
    await expect(find()).rejects.toThrow(/holds no file nats-server/)
  })

  it('gives up on a silent server after the connect timeout', async () => {
    files.set('SHA256SUMS', 'silence')
    await expect(find()).rejects.toThrow(/no answer within 300 ms/)
  })

  it('names every place that failed, and what to do', async () => {
    install('bin', '2.9.10')
    const error = await find().catch((caught: Error) => caught)
    expect(error).toMatchObject({ code: 'nats_server_too_old' })
    expect(String(error)).toMatch(
      /nats-server is 2\.9\.10[\s\S]*the answer was 404[\s\S]*Go is not installed[\s\S]*NATS_URL/,
    )
  })
})
