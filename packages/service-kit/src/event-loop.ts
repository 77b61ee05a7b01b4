import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Histogram, type Registry } from '@prometheus-io/client'
import type { Log } from './log.ts'

const resolutionMs = 10
const lookEveryMs = 1_000
/** The longest that a service may keep its event loop from other work */
const blockedAboveMs = 100

/**
 * Watches how long the event loop stands still: a histogram of the worst of each second, and a log event above 100 ms. The event has the
 * thread's processor time of that second beside it: a clock alone cannot tell a loop that is held from a process that was not let run.
 */
export function watchEventLoop(registry: Registry, log: Log): { stop(): void } {
  const worst = new Histogram({
    name: 'tagloom_event_loop_delay_seconds',
    help: 'Longest standstill of the event loop in each second',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry],
  })
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  delay.enable()
  let cpuBefore = process.threadCpuUsage()
  const timer = setInterval(() => {
    const { user, system } = process.threadCpuUsage(cpuBefore)
    cpuBefore = process.threadCpuUsage()
    const blockedMs = Math.max(0, delay.max / 1e6 - resolutionMs)
    delay.reset()
    worst.observe(blockedMs / 1000)
    if (blockedMs > blockedAboveMs)
      log.event('event_loop_blocked', {
        blocked_ms: Math.round(blockedMs),
        cpu_ms: Math.round((user + system) / 1_000),
      })
  }, lookEveryMs)
  timer.unref()
  return {
    stop() {
      clearInterval(timer)
      delay.disable()
    },
  }
}
