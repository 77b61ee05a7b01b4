import { tagForm } from '@tagloom/contracts'
import { expect, it } from 'vitest'
import { bundledMeaning } from './meaning-cosines.ts'
import { areToldApart, meanTheSame } from './same-meaning.ts'

it.each([
  ['TLS 1.2', 'TLS 1.3'],
  ['Vue 2', 'Vue 3'],
  ['HTTP/1', 'HTTP/2'],
  ['ERC-20', 'ERC-721'],
  ['SHA-1', 'SHA-256'],
  ['class A', 'class B'],
  ['C', 'C++'],
  ['C', 'C#'],
  ['Notepad', 'Notepad++'],
  ['Google', 'Google+'],
  ['B-tree', 'B+ tree'],
  ['Elizabeth I', 'Elizabeth II'],
  ['fungible token', 'non-fungible token'],
  ['on-chain data', 'off-chain data'],
  ['valid signature', 'invalid signature'],
  ['centralized exchange', 'decentralized exchange'],
  ['left join', 'right join'],
  ['gas limit increase', 'gas limit decrease'],
  ['public key', 'private key'],
])('tells apart, however near they are: %s, %s', (a, b) => {
  expect(meanTheSame(0.97, bundledMeaning.same, tagForm(a), tagForm(b))).toBe(false)
  expect(meanTheSame(0.97, bundledMeaning.same, tagForm(b), tagForm(a))).toBe(false)
})

it.each([
  ['e-mail', 'email address'],
  ['user story', 'user tale'],
  ['machine learning', 'learning by machines'],
  ['Type 1 diabetes', 'diabetes type 1'],
  ['sailing boat', 'sail boat'],
  ['key exchange', 'exchange of keys'],
])('does not tell apart what a model finds the same: %s, %s', (a, b) => {
  expect(areToldApart(tagForm(a), tagForm(b))).toBe(false)
  expect(meanTheSame(0.93, bundledMeaning.same, tagForm(a), tagForm(b))).toBe(true)
  expect(meanTheSame(0.89, bundledMeaning.same, tagForm(a), tagForm(b))).toBe(false)
})

it('believes no cosine of labels that are the same tokens to the model', () => {
  expect(meanTheSame(1, bundledMeaning.same, tagForm('año'), tagForm('ano'))).toBe(false)
})
