import { runService } from '@tagloom/service-kit'
import { buildApp } from './app.ts'
import { environment } from './config.ts'

await runService({ name: 'tagger', environment, env: process.env, buildApp })
