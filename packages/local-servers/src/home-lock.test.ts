import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockHome } from './home-lock.ts'
import { startMarkOf } from './process-identity.ts'

describe('lockHome', () => {
  let home: string
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'home-lock-'))
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  it('refuses a home that a living process has, and names the process', () => {
    writeFileSync(join(home, 'owner'), `${process.ppid} ${startMarkOf(process.ppid)}`)
    expect(() => lockHome(home)).toThrow(new RegExp(`process ${process.ppid}\\) runs from`))
  })

  it('is free again once given back', () => {
    lockHome(home)()
    lockHome(home)()
  })

  it('takes over from a process that is gone', () => {
    writeFileSync(join(home, 'owner'), '999999999 1')
    lockHome(home)()
  })

  it('takes over when the process id belongs to another process by now', () => {
    writeFileSync(join(home, 'owner'), `${process.ppid} an-earlier-start`)
    lockHome(home)()
  })
})
