// Loaded before a service that the supervisor starts (node --import): when the supervisor is gone, however it ended, the
// channel to it closes, and the service stops in order instead of serving on alone.
if (process.channel !== undefined) {
  process.once('disconnect', () => {
    process.kill(process.pid, 'SIGTERM')
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 8_000).unref()
  })
  process.channel.unref()
}
