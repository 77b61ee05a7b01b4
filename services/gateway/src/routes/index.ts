import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { GatewayDeps } from '../app.ts'
import { alertRuleRoutes } from './alert-rules.ts'
import { alertRoutes } from './alerts.ts'
import { apiKeyRoutes } from './api-keys.ts'
import { assignmentRoutes } from './assignments.ts'
import { clusterMetricsRoutes } from './cluster-metrics.ts'
import { clusterRoutes } from './clusters.ts'
import { decisionRoutes } from './decisions.ts'
import { importRoutes } from './import.ts'
import { jobEventRoutes } from './job-events.ts'
import { jobRoutes } from './jobs.ts'
import { pageRoutes } from './pages.ts'
import { runRoutes } from './runs.ts'
import { tagRoutes } from './tags.ts'
import { trendRoutes } from './trends.ts'
import { wikiRoutes } from './wikis.ts'

export type Routes = (deps: GatewayDeps) => FastifyPluginAsyncTypebox

/** Everything that the gateway answers, in the order of its documentation: what it is about → where its routes are. */
export const routes: Readonly<Record<string, Routes>> = {
  '/api/wikis': wikiRoutes,
  '/api/wikis/:wiki_id/pages, POST': importRoutes,
  '/api/wikis/:wiki_id/pages': pageRoutes,
  '/api/wikis/:wiki_id/jobs, /api/jobs': jobRoutes,
  '/api/jobs/:job_id/events': jobEventRoutes,
  '/api/wikis/:wiki_id/clusters': clusterRoutes,
  '/api/wikis/:wiki_id/assignments, /api/wikis/:wiki_id/drift': assignmentRoutes,
  '/api/wikis/:wiki_id/tags': tagRoutes,
  '/api/wikis/:wiki_id/decisions': decisionRoutes,
  '/api/tags/cluster-metrics/:wiki_id': clusterMetricsRoutes,
  '/api/wikis/:wiki_id/runs, /api/jobs/:job_id/metrics, /compare': runRoutes,
  '/api/wikis/:wiki_id/trends': trendRoutes,
  '/api/wikis/:wiki_id/alert-rules': alertRuleRoutes,
  '/api/wikis/:wiki_id/alerts, /api/alerts/:alert_id': alertRoutes,
  '/api/keys': apiKeyRoutes,
}
