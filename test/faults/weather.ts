import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import getPort from 'get-port';

/** What a network, or a server in trouble, does to connections. */
export type Weather =
  | 'calm'
  /** Nothing comes through and nothing says so, as when a cable is cut. */
  | 'cut'
  /** Connections end in the middle of what they carry. */
  | 'resets'
  /** Each request is answered by a 500 (HTTP only). */
  | 'errors'
  /** 100 kB/s, and 200 ms until an answer begins. */
  | 'slow';

const slowBytes = 100_000;

/** A proxy on loopback between a worker and one of its services, with weather. */
export interface WeatherProxy {
  readonly port: number;
  become(weather: Weather): void;
  close(): Promise<void>;
}

/** @param target port on loopback */
export async function startWeather(target: number): Promise<WeatherProxy> {
  let weather: Weather = 'calm';
  const pairs = new Set<readonly [Socket, Socket]>();
  const server: Server = createServer((client) => {
    client.on('error', () => client.destroy());
    if (weather === 'errors') return answerError(client);
    const upstream = connect(target, '127.0.0.1');
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    const carry = (from: Socket, to: Socket) =>
      from.on('data', async (bytes: Buffer) => {
        from.pause();
        // What is on its way in a cut is lost for good: the connection is ended when the cut is over.
        if (weather === 'cut') return;
        if (weather === 'slow') await delay(200 + (1000 * bytes.length) / slowBytes);
        if (weather === 'resets' && Math.random() < 0.3) {
          to.write(bytes.subarray(0, bytes.length / 2));
          client.resetAndDestroy();
          return end();
        }
        if (to.destroyed || to.write(bytes)) from.resume();
      });
    client.on('drain', () => upstream.resume());
    upstream.on('drain', () => client.resume());
    carry(client, upstream);
    carry(upstream, client);
  });
  const port = await getPort({ host: '127.0.0.1' });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const drop = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  };
  return {
    port,
    become(next) {
      // Errors reach requests only on new connections; after a cut the old ones are dead.
      if (next === 'errors' || weather === 'cut') drop();
      weather = next;
    },
    async close() {
      drop();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answerError(client: Socket): void {
  const body = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>trouble</Message></Error>';
  client.once('data', () =>
    client.end(
      `HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/xml\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    ),
  );
}
