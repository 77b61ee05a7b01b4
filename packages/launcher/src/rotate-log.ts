import { closeSync, constants, ftruncateSync, openSync, readSync, renameSync, statSync, writeSync } from 'node:fs'

const chunkBytes = 1 << 20

/**
 * Moves the lines of a log that has grown beyond `mostBytes` to `<file>.1`, in place of those that were there, while the process that writes
 * it goes on: it has the file open for appending, so its next line begins the emptied file. Copied until nothing is left to copy, then emptied
 * at once: only a line written within those microseconds is lost. Renaming would lose none and rotate nothing, since the process holds the file.
 * @returns whether it was
 */
export function rotateLog(file: string, mostBytes: number): boolean {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size <= mostBytes) return false
  const kept = `${file}.1`
  const draft = `${kept}.part`
  const from = openSync(file, constants.O_RDWR)
  const to = openSync(draft, 'w', 0o644)
  try {
    const chunk = Buffer.allocUnsafe(chunkBytes)
    for (let read = readSync(from, chunk); read > 0; read = readSync(from, chunk)) writeSync(to, chunk, 0, read)
    renameSync(draft, kept)
    ftruncateSync(from, 0)
  } finally {
    closeSync(to)
    closeSync(from)
  }
  return true
}
