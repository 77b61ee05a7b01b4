/** The stages of a job, in their order. */
export const stages = ['embed', 'cluster', 'label', 'propagate'] as const
export type Stage = (typeof stages)[number]

export const jobStatuses = ['queued', 'running', 'completed', 'failed', 'cancelled'] as const
export type JobStatus = (typeof jobStatuses)[number]

export const services = ['gateway', 'tagger', 'clusterer', 'propagator', 'metrics-aggregator'] as const
export type ServiceName = (typeof services)[number]
