/**
 * HEALTHCHECK of the images: 0 when the worker in this container answers where it shows its figures (SIGLIP2_METRICS).
 * A worker dials out alone, so that this is all there is to ask. It says nothing of Temporal and of the store: a worker
 * waits for them and goes on training, and a new container would only lose what it has. With --polls it is 0 once
 * Temporal has work to give: that is readiness, for those who count workers. Plain JavaScript, since it runs every half minute.
 */
const [, host, port] = /^(?:(.+):)?(\d+)$/.exec(process.env.SIGLIP2_METRICS ?? '') ?? [];

function end(code, sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(code);
}

if (!port) end(1, 'SIGLIP2_METRICS names no port, so that nothing can be asked; set it to 9464');
// Who listens on every address answers on loopback too.
const name = !host || host === '0.0.0.0' || host === '[::]' ? '127.0.0.1' : host;
const text = await fetch(`http://${name}:${port}/metrics`, { signal: AbortSignal.timeout(8_000) }).then(
  (answer) => (answer.ok ? answer.text() : end(1, `the worker answers with status ${answer.status}`)),
  (error) => end(1, `no worker answers at ${name}:${port} (${error.cause?.code ?? error.name})`),
);
const polls = [...text.matchAll(/^temporal_num_pollers\{[^}]*\} (\d+)/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
if (process.argv.includes('--polls') && polls === 0) end(1, 'the worker answers, and does not poll Temporal yet');
end(0, `the worker answers; ${polls} pollers`);
