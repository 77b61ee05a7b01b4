import Type, { type Static } from 'typebox'
import { AlertRule, AlertRules, alertStates, severities } from '../alert-rules.ts'
import { listOf, listQuery } from './paging.ts'

const time = Type.String({ format: 'date-time' })
const nullableTime = Type.Union([time, Type.Null()])
const figure = Type.Union([Type.Number(), Type.Null()])
const text = Type.Union([Type.String(), Type.Null()])

const alertFields = {
  id: Type.Integer(),
  wiki_id: Type.Integer(),
  rule: Type.String(),
  severity: Type.Enum([...severities]),
  state: Type.Enum([...alertStates]),
  metric: Type.String(),
  value: figure,
  threshold: Type.Number(),
  message: Type.String(),
  action: Type.String(),
  runbook: text,
  first_job_id: text,
  last_job_id: text,
  created_at: time,
  updated_at: time,
  raised_at: Type.Union([time, Type.Null()], { description: 'When receivers were told; null: they were not' }),
  resolved_at: nullableTime,
  transitions: Type.Array(
    Type.Object({ from: text, to: Type.String(), at: time, by: Type.String(), job_id: text, value: figure }),
    { description: 'Every change of its state, with who and when' },
  ),
}
export const Alert = Type.Object(alertFields, { title: 'Alert' })
export type Alert = Static<typeof Alert>
export const AlertList = listOf(Alert, 'AlertList')
export const AlertListQuery = listQuery({
  state: Type.Optional(Type.Enum([...alertStates])),
  severity: Type.Optional(Type.Enum([...severities])),
  rule: Type.Optional(Type.String({ maxLength: 64 })),
})
export const AlertParams = Type.Object({ alert_id: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }) })

export const AlertDetails = Type.Object(
  {
    ...alertFields,
    deliveries: Type.Array(
      Type.Object({
        receiver: Type.String(),
        event: Type.String(),
        key: Type.String(),
        status: Type.String(),
        attempts: Type.Integer(),
        next_attempt_at: nullableTime,
        delivered_at: nullableTime,
        tries: Type.Array(Type.Object({ at: time, took_ms: Type.Number(), result: Type.String() })),
      }),
      { description: 'Whom it was told to, with each try' },
    ),
  },
  { title: 'AlertDetails' },
)
export type AlertDetails = Static<typeof AlertDetails>

export const NewSilence = Type.Object(
  {
    rule: Type.Optional(
      Type.Union([Type.String({ maxLength: 64 }), Type.Null()], { description: 'Without one: every rule' }),
    ),
    reason: Type.String({ minLength: 1, maxLength: 1000 }),
    ends_at: time,
  },
  { additionalProperties: false, title: 'NewSilence' },
)
export const Silence = Type.Object(
  {
    id: Type.Integer(),
    rule: text,
    reason: Type.String(),
    created_by: Type.String(),
    created_at: time,
    ends_at: time,
  },
  { title: 'Silence' },
)
export type Silence = Static<typeof Silence>
export const SilenceList = Type.Object({ items: Type.Array(Silence) }, { title: 'SilenceList' })
export const SilenceParams = Type.Object({
  wiki_id: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }),
  silence_id: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }),
})

export const NewAlertRules = Type.Object({ rules: AlertRules }, { additionalProperties: false, title: 'NewAlertRules' })
export const AlertRulesOfWiki = Type.Object(
  {
    rules: AlertRules,
    is_default: Type.Boolean({ description: 'The wiki has none of its own' }),
    updated_at: nullableTime,
    updated_by: text,
  },
  { title: 'AlertRulesOfWiki' },
)
export type AlertRulesOfWiki = Static<typeof AlertRulesOfWiki>

export const NewRulePreview = Type.Object(
  {
    rule: AlertRule,
    runs: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Over the last so many runs' }),
    ),
  },
  { additionalProperties: false, title: 'NewRulePreview' },
)
export const RulePreview = Type.Object(
  {
    runs: Type.Array(
      Type.Object({
        job_id: Type.String(),
        at: time,
        value: figure,
        baseline: figure,
        crossed: Type.Boolean(),
        state: Type.String({ description: 'ok, or the state of the alert after the run' }),
        told: Type.Union([Type.Enum(['raised', 'resolved']), Type.Null()], {
          description: 'What receivers would have heard',
        }),
      }),
      { description: 'Oldest first' },
    ),
    raised: Type.Integer({ description: 'How many alerts it would have been' }),
  },
  { title: 'RulePreview' },
)
export type RulePreview = Static<typeof RulePreview>
