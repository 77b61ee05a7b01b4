import { runService } from '@tagloom/service-kit'
import { buildApp } from './app.ts'
import { environment } from './config.ts'

await runService({ name: 'propagator', environment, env: process.env, buildApp })
