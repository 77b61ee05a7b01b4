import { describe, expect, it } from 'vitest'
import { tagForm } from './tag-form.ts'

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
  ])('of %s is %s', (label, form) => {
    expect(tagForm(label)).toBe(form)
  })

  it('keeps apart what only looks alike', () => {
    expect(tagForm('C++')).not.toBe(tagForm('C'))
    expect(tagForm('C#')).not.toBe(tagForm('C'))
    expect(tagForm('bus')).toBe('bus')
    expect(tagForm('class')).toBe('class')
    expect(tagForm('!!!')).toBe('!!!')
  })

  it('of a form is that form', () => {
    for (const label of ['Neural Networks', 'Policies', 'Analyses', 'Organisations']) {
      expect(tagForm(tagForm(label))).toBe(tagForm(label))
    }
  })
})
