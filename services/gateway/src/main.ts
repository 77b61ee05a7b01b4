import '@tagloom/service-kit/quick-imports'

const { runService } = await import('@tagloom/service-kit')
const { buildApp } = await import('./app.ts')
const { environment } = await import('./config.ts')

await runService({ name: 'gateway', environment, env: process.env, buildApp })
