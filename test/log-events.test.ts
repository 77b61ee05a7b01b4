import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { logEvents } from '@tagloom/contracts'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')

/** Every source file of services and packages that may log: tests and the declarations themselves are none. */
const sources = ['services', 'packages']
  .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(root, folder, name, 'src')))
  .filter((folder) => !folder.includes(join('packages', 'contracts')))
  .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)))
  .filter((file) => file.endsWith('.ts') && !/(\.test\.ts|testing\.ts)$/.test(file))
  .map((file) => readFileSync(file, 'utf8'))

it('declares no log event that nothing logs', () => {
  const logged = new Set(
    sources.flatMap((text) => [...text.matchAll(/'([a-z]+(?:_[a-z]+)+)'/g)].map(([, name]) => name)),
  )
  expect(Object.keys(logEvents).filter((name) => !logged.has(name))).toEqual([])
})

it('is CRITICAL by declared events alone', () => {
  expect(sources.filter((text) => /\.fatal\(/.test(text))).toEqual([])
})
