import { createServer, type Server } from 'node:http';
import { RunnerError } from '../runtime/errors.ts';
import type { Gauges } from './gauges.ts';

export interface MetricsOptions {
  /** HOST:PORT, as `metricsAddress` gives it. */
  readonly address: string;
  readonly gauges: Gauges;
  /** HOST:PORT where Temporal's SDK answers for itself. */
  readonly temporal: string;
}

/** Answers `/metrics` with what Temporal's SDK counts, and our gauges. SetupMissing when the address can't be had. */
export async function serveMetrics({ address, gauges, temporal }: MetricsOptions): Promise<Server> {
  const server = createServer(async ({ url }, response) => {
    if (url !== '/metrics') return void response.writeHead(404).end();
    const theirs = await fetch(`http://${temporal}/metrics`).then(
      (answer) => answer.text(),
      (error: Error) => `# Temporal's SDK does not answer: ${error.message.split('\n')[0]}\n`,
    );
    response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4' }).end(theirs + gauges.text());
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
