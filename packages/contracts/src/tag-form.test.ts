import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { tagForm, tagFormVersion } from './tag-form.ts'

describe('the form of a tag', () => {
  it.each([
    ['Neural Networks', 'neural network'],
    ['neural-network', 'neural network'],
    ['Policies', 'policy'],
    ['Databases', 'database'],
    ['Organisation', 'organization'],
    ['Colours', 'color'],
    ['ＦＵＬＬ　ＷＩＤＴＨ', 'full width'],
    ['Straße', 'straße'],
    ['机器学习', '机器学习'],
    ['Classes', 'class'],
    ['Boxes', 'box'],
    ['Branches', 'branch'],
    ['APIs', 'api'],
    ['Modelling', 'modeling'],
    ['Analysed', 'analyzed'],
    ['Catalogues', 'catalog'],
    ['Licences', 'license'],
  ])('of %s is %s', (label, form) => {
    expect(tagForm(label)).toBe(form)
  })

  it.each([
    ['cookie', 'cookies'],
    ['movie', 'movies'],
    ['query', 'queries'],
    ['status', 'statuses'],
    ['virus', 'viruses'],
    ['cause', 'causes'],
    ['release', 'releases'],
    ['house', 'houses'],
    ['bus', 'buses'],
    ['hero', 'heroes'],
    ['shoe', 'shoes'],
    ['toe', 'toes'],
    ['canoe', 'canoes'],
    ['photo', 'photos'],
    ['analysis', 'analyses'],
    ['index', 'indices'],
    ['wolf', 'wolves'],
    ['hive', 'hives'],
    ['woman', 'women'],
    ['wiki', 'wikis'],
    ['TIE', 'ties'],
    ['İstanbul', 'istanbul'],
    ['❤️', '❤'],
    ['🚀 Launch', 'launch'],
  ])('is one for %s and %s', (one, other) => {
    expect(tagForm(one)).toBe(tagForm(other))
  })

  it('is another for each of the names that marks tell apart', () => {
    const names =
      'C,C++,C#,F,F#,F*,G,g++,Q,Q#,J#,.NET,net,ASP.NET,A,A*,Notepad,Notepad++,Google,Google+,B-tree,B+ tree,B* tree'
    const forms = names.split(',').map(tagForm)
    expect(forms.filter((form, at) => forms.indexOf(form) < at)).toEqual([])
  })

  it.each([
    ['HTML+CSS', 'HTML CSS'],
    ['Ctrl+C', 'ctrl c'],
    ['String#split', 'string split'],
    ['C++-style', 'c++ style'],
    ['*args', 'args'],
    ['**bold**', 'bold'],
  ])('takes marks that join or adorn words for spaces: %s, %s', (one, other) => {
    expect(tagForm(one)).toBe(tagForm(other))
  })

  it('keeps apart what only looks alike', () => {
    expect(tagForm('C++')).not.toBe(tagForm('C'))
    expect(tagForm('C#')).not.toBe(tagForm('C'))
    expect(tagForm('bus')).toBe('bus')
    expect(tagForm('class')).toBe('class')
    expect(tagForm('!!!')).toBe('!!!')
  })

  it('is one for the singular and the plural of words in -che and -ch', () => {
    expect(tagForm('Cache')).toBe(tagForm('Caches'))
    expect(tagForm('Match')).toBe(tagForm('Matches'))
  })

  it.each([
    ['News', 'New'],
    ['AIDS', 'Aid'],
    ['HTTPS', 'HTTP'],
    ['NATS', 'NAT'],
    ['NodeJS', 'NodeJ'],
    ['Windows', 'Window'],
    ['pandas', 'Panda'],
    ['Canvas', 'Canva'],
    ['Pays', 'Pay'],
    ['Fils', 'Fil'],
    ['Prise', 'Prize'],
    ['Filled', 'Filed'],
    ['Organ', 'Organs of state'],
    ['❤️', '✈️'],
    ['.NET', 'net'],
    ['año', 'ano'],
    ['Paris', 'Pari'],
    ['Marie', 'Mary'],
    ['basis', 'base'],
  ])('of %s is not that of %s', (one, other) => {
    expect(tagForm(one)).not.toBe(tagForm(other))
  })

  it('of a form is that form', () => {
    for (const label of [
      'Neural Networks',
      'Policies',
      'Analyses',
      'Organisations',
      'Caches',
      'Boxes',
      'News',
      'Labelled',
      'Dialogues',
      'Cookies',
      'Statuses',
      'Heroes',
      'Wolves',
      'Houses',
      'Use cases',
      'Basis',
      '❤️',
      'g++',
      'B+ trees',
      'A*',
    ]) {
      expect(tagForm(tagForm(label))).toBe(tagForm(label))
    }
  })
})

it('is made by rules that have a version of their own: raise tagFormVersion with the digest here when they change', () => {
  const rules = readFileSync(new URL('./tag-form.ts', import.meta.url), 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/export const tagFormVersion = \d+/, '')
    .replace(/\s+/g, '')
  const digest = createHash('sha256').update(rules).digest('hex').slice(0, 16)
  expect({ tagFormVersion, digest }).toEqual({ tagFormVersion: 2, digest: '128bde257f9ffb94' })
})
