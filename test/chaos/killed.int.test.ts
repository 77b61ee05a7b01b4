import { describe } from 'vitest'
import { killEachService } from './kill-each-service.ts'

describe('with one process a service', () => killEachService({}))
