import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The commit that is checked out, marked where files differ from it; undefined without git or outside a checkout. */
export async function codeVersion(root: string): Promise<string | undefined> {
  try {
    const { stdout } = await run('git', ['describe', '--always', '--abbrev=12', '--dirty'], {
      cwd: root,
      timeout: 5_000,
    })
    return stdout.trim() || undefined
  } catch {
    return undefined
  }
}
