export { freePort, isPortFree } from './free-port.ts'
export { LocalServerError, type LocalServerErrorCode } from './local-server-error.ts'
export { type StartedServers, type StartOptions, startServers } from './start-servers.ts'
