import { runService } from '@tagloom/service-kit'
import { buildApp } from './app.ts'
import { environment } from './config.ts'

await runService({ name: 'clusterer', environment, env: process.env, buildApp })
