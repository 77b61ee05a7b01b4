import { describe } from 'vitest'
import { killEachService } from './kill-each-service.ts'

describe('with two taggers and two propagators', () => killEachService({ tagger: 2, propagator: 2 }))
