// Loaded before a process that a bench forks (node --import): asked for `cpu` it answers {cpu}, the processor time that it has used in µs.
process.on('message', (asked) => {
  if (asked !== 'cpu') return
  const { user, system } = process.cpuUsage()
  process.send?.({ cpu: user + system })
})
process.channel?.unref()
