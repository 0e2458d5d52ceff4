import { connect, createServer } from 'node:net';

/** Carries connections to ports of loopback, where the services listen: `HOST PORT PORT ...`, each at the port of its name. */
const [host, ...ports] = process.argv.slice(2);
for (const port of ports.map(Number)) {
  const server = createServer((client) => {
    const service = connect(port, '127.0.0.1');
    // A server closes when it has answered; what is still on its way over a slow link comes all the same.
    for (const [from, to] of [
      [client, service],
      [service, client],
    ] as const)
      from.on('error', () => to.destroy()).on('close', () => to.end());
    client.pipe(service).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
}
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
process.stdin.on('end', () => process.exit(0)).resume();
