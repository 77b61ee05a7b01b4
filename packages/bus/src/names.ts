/** How names look on a server that several installations, or several test files, may share. */
export interface Names {
  readonly stream: (which: 'EVENTS' | 'WORK' | 'DEAD') => string
  readonly durable: (name: string) => string
  readonly subject: (subject: string) => string
  readonly deadSubject: (durable: string) => string
  readonly bucket: (name: string) => string
}

/** @param prefix letters, digits, '_' and '-'; '' gives the plain names of the contracts */
export function namesFor(prefix: string): Names {
  const dash = prefix ? `${prefix}-` : ''
  const dot = prefix ? `${prefix}.` : ''
  return {
    stream: (which) => `${dash}TAGLOOM_${which}`,
    durable: (name) => `${dash}${name}`,
    subject: (subject) => `${dot}${subject}`,
    deadSubject: (durable) => `${dot}tagloom.dead.${durable}`,
    bucket: (name) => `${dash}${name}`,
  }
}

/** Milliseconds as the nanoseconds that JetStream's configuration wants */
export const nanos = (ms: number): number => ms * 1_000_000
