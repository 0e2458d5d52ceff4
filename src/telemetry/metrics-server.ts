import { createServer, type Server } from 'node:http';
import { RunnerError } from '../runtime/errors.ts';
import type { Gauges } from './gauges.ts';

export interface MetricsOptions {
  /** HOST:PORT, as `metricsAddress` gives it. */
  readonly address: string;
  readonly gauges: Gauges;
  /** HOST:PORT where Temporal's SDK answers for itself. */
  readonly temporal: string;
  /** Further series, in Prometheus' text format. */
  readonly more?: () => Promise<string>;
}

/**
 * Answers `/metrics` with what Temporal's SDK counts, and our gauges; `/live` as long as this process does; `/ready` with 200
 * once it serves a queue, and with 503 before. SetupMissing when the address can't be had.
 */
export async function serveMetrics({ address, gauges, temporal, more }: MetricsOptions): Promise<Server> {
  const askTemporal = () =>
    fetch(`http://${temporal}/metrics`).then(
      (answer) => answer.text(),
      (error: Error) => `# Temporal's SDK does not answer: ${error.message.split('\n')[0]}\n`,
    );
  const answers: Readonly<Record<string, () => Promise<readonly [number, string]>>> = {
    '/metrics': async () => {
      const [theirs, others = ''] = await Promise.all([askTemporal(), more?.()]);
      return [200, theirs + gauges.text() + others];
    },
    '/live': async () => [200, 'live\n'],
    '/ready': async () => (serves(await askTemporal()) ? [200, 'ready\n'] : [503, 'serves no queue yet\n']),
  };
  const server = createServer(async ({ url = '' }, response) => {
    const answer = Object.hasOwn(answers, url) ? answers[url] : undefined;
    if (!answer) return void response.writeHead(404).end();
    const [status, text] = await answer();
    response.writeHead(status, { 'Content-Type': 'text/plain; version=0.0.4' }).end(text);
  });
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(address) ?? [];
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const why = (cause as NodeJS.ErrnoException).code ?? cause.message;
      const what = `SIGLIP2_METRICS asks for ${address}, which can't be listened on (${why})`;
      reject(new RunnerError('SetupMissing', `${what}; choose another port`, { cause }));
    });
    server.listen(Number(port), host.replace(/^\[(.*)\]$/, '$1'), resolve);
  });
  // No reason for a worker to live.
  server.unref();
  return server;
}

/**
 * Whether a worker was begun. How many polls are under way would not do: while its one slot is taken a worker of a device
 * polls nothing, and KEDA would count it among those that are still to come.
 */
const serves = (metrics: string): boolean => /^temporal_worker_start\{[^}]*\} [1-9]/m.test(metrics);
