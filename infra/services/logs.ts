import { join } from 'node:path';

/** Logs of the services of `npm run up` and the demo; one of more than 20 MB is moved aside to `.log.1` at a start. */
export const serviceLogs = {
  temporal: 'The Temporal server: errors alone.',
  s3: 'The S3 server.',
  worker: 'The worker and its trainer: a JSON object on each line, as `SIGLIP2_LOG` says.',
} as const;

export function logFolder(state: string): string {
  return join(state, 'logs');
}

export function logFile(state: string, name: keyof typeof serviceLogs): string {
  return join(logFolder(state), `${name}.log`);
}
