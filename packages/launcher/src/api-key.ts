import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { minApiKeyLength } from '@tagloom/contracts'

/** The key given by TAGLOOM_API_KEY; else the one that an earlier start made; else a new one, readable by its owner alone. */
export function ownApiKey(home: string, given: string | undefined): string {
  if (given) {
    if (given.length >= minApiKeyLength) return given
    throw new Error(`TAGLOOM_API_KEY has ${given.length} characters, expected ${minApiKeyLength} or more.`)
  }
  const file = join(home, 'api-key')
  const known = read(file)
  if (known !== undefined && known.length >= minApiKeyLength) {
    chmodSync(file, 0o600)
    return known
  }
  const key = `tl_${randomBytes(24).toString('base64url')}`
  writeFileSync(file, `${key}\n`, { mode: 0o600 })
  return key
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
