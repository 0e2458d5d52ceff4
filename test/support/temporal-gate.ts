import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  connect as connectHttp2,
  createServer as createPlainServer,
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Pair } from './certificates.ts';

export interface Gate {
  readonly port: number;
  close(): Promise<void>;
}

/** Listens on loopback, and forgets nobody who came when it closes. */
async function listening(server: Server, at = 0): Promise<Gate> {
  const sockets = new Set<Socket>();
  for (const event of ['connection', 'secureConnection'])
    server.on(event, (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    });
  await new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Ends TLS before a server that speaks none, and lets in whom `clientAuthority` has signed: mutual TLS as Temporal Cloud has. */
export function startTlsGate(target: string, own: Pair, clientAuthority?: string, at = 0): Promise<Gate> {
  const [host, port] = target.split(':');
  const server = createTlsServer(
    {
      cert: readFileSync(own.cert),
      key: readFileSync(own.key),
      ALPNProtocols: ['h2'],
      ...(clientAuthority ? { ca: readFileSync(clientAuthority), requestCert: true, rejectUnauthorized: true } : {}),
    },
    (secure) => {
      const plain = connect(Number(port), host!);
      secure.pipe(plain).pipe(secure);
      plain.on('error', () => secure.destroy()).on('close', () => secure.destroy());
      secure.on('error', () => plain.destroy()).on('close', () => plain.destroy());
    },
  );
  return listening(server, at);
}

/** A server of OpenSSL's, which tells by an alert whose certificate it does not take; Node's ends connections without a word. */
export async function startStrictGate(own: Pair, clientAuthority: string): Promise<Gate> {
  const { port, close } = await listening(createTlsServer());
  await close();
  const certificates = ['-cert', own.cert, '-key', own.key, '-CAfile', clientAuthority, '-alpn', 'h2'];
  const strict = ['-Verify', '1', '-verify_return_error'];
  const child = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, ...certificates, ...strict], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  return {
    port,
    async close() {
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}

/** What a call is answered by, in place of the server: a status of gRPC; null lets it through. */
export type Guard = (headers: IncomingHttpHeaders) => { readonly code: number; readonly words: string } | null;

/** A gateway that looks at the headers of each call, as Temporal Cloud does; without `own` it speaks no TLS. */
export async function startGuard(target: string, guard: Guard, own?: Pair): Promise<Gate> {
  const server = own
    ? createSecureServer({ cert: readFileSync(own.cert), key: readFileSync(own.key) })
    : createPlainServer();
  const up = connectHttp2(`http://${target}`);
  up.on('error', () => {});
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {});
    const refusal = guard(headers);
    if (refusal) {
      const { code, words } = refusal;
      // Trailers alone, as gRPC calls it: the status comes with the headers.
      const said = { 'grpc-status': String(code), 'grpc-message': encodeURIComponent(words) };
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...said }, { endStream: true });
      return;
    }
    const sent = Object.fromEntries(
      Object.entries(headers).filter(([name]) => name === ':method' || name === ':path' || !name.startsWith(':')),
    );
    const asked = up.request(sent);
    asked.on('error', () => stream.destroy());
    stream.on('close', () => asked.destroy());
    let trailers: Record<string, string> = {};
    asked.on('response', (answer) => {
      const { ':status': status, ...rest } = answer;
      const alone = rest['grpc-status'] !== undefined;
      stream.respond({ ':status': status, ...rest } as never, alone ? { endStream: true } : { waitForTrailers: true });
      if (alone) return;
      asked.on('trailers', (given) => {
        trailers = given as Record<string, string>;
      });
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
      asked.on('data', (bytes) => stream.write(bytes));
      asked.on('end', () => stream.end());
    });
    stream.pipe(asked);
  });
  const gate = await listening(server as unknown as Server);
  return {
    ...gate,
    async close() {
      up.destroy();
      await gate.close();
    },
  };
}
