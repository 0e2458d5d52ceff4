import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One thing that goes wrong between a store and who asks it. */
export interface Fault {
  /** Which requests it meets: `PUT /bucket/key?query`, decoded, with the headers that matter. */
  readonly at: (request: { readonly line: string; readonly headers: IncomingHttpHeaders }) => boolean;
  readonly act: /** The store does what it was asked, and nobody hears so. */
    | 'lose'
    /** One byte in the middle turns over, and no checksum tells. */
    | 'flip'
    /** A byte each 50 ms. */
    | 'trickle'
    /** 250 bytes each 50 ms. */
    | 'steady'
    /** The answer of another store, to a request that does not reach this one. */
    | { readonly status: number; readonly code: string; readonly message?: string }
    /** A page for people. */
    | { readonly status: number; readonly html: string }
    /** Another status in place of this one of the store's. */
    | { readonly instead: number; readonly of: number };
  /** So often, once by default; then it is over. */
  readonly times?: number;
}

/** A proxy on loopback before a real store that says what went through, and lets go wrong what a test says. */
export interface FaultProxy {
  readonly endpoint: string;
  /** Whoever sets it anew forgets what went wrong before. */
  faults: readonly Fault[];
  /** Lines of all requests, as `Fault.at` sees them. */
  readonly lines: string[];
  close(): Promise<void>;
}

/** @param target endpoint of the store */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(target);
  const met = new Map<Fault, number>();
  const server = createServer(async (asked, answer) => {
    const line = `${asked.method} ${decodeURIComponent(asked.url ?? '')}`;
    proxy.lines.push(line);
    const { headers } = asked;
    const fault = proxy.faults.find((one) => (met.get(one) ?? 0) < (one.times ?? 1) && one.at({ line, headers }));
    if (fault) met.set(fault, (met.get(fault) ?? 0) + 1);
    const body = await collect(asked).catch(() => null);
    if (!body) return answer.destroy();
    if (typeof fault?.act === 'object' && 'status' in fault.act) return say(answer, asked.method === 'HEAD', fault.act);
    const options = { host: hostname, port, method: asked.method, path: asked.url, headers, setHost: false };
    const up = request(options, async (got) => {
      const bytes = await collect(got).catch(() => null);
      if (!bytes || fault?.act === 'lose') return answer.destroy();
      const status = got.statusCode!;
      const act = fault?.act;
      const sent = { ...got.headers };
      delete sent['transfer-encoding'];
      if (act === 'flip') {
        bytes[bytes.length >> 1]! ^= 1;
        for (const name of Object.keys(sent)) if (name.startsWith('x-amz-checksum')) delete sent[name];
      }
      const instead = typeof act === 'object' && 'of' in act && act.of === status ? act.instead : status;
      if (instead !== status) {
        // Whoever ignores a condition says which object it wrote.
        answer.writeHead(instead, instead === 200 ? { etag: '"0123456789abcdef0123456789abcdef"' } : {});
        return answer.end();
      }
      answer.writeHead(status, sent);
      if (act === 'trickle' || act === 'steady') trickle(answer, bytes, act === 'trickle' ? 1 : 250);
      else answer.end(asked.method === 'HEAD' ? undefined : bytes);
    });
    up.on('error', () => answer.destroy());
    up.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults: [],
    lines: [],
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return proxy;
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

function say(
  answer: ServerResponse,
  bare: boolean,
  act: { status: number } & ({ code: string; message?: string } | { html: string }),
): void {
  const html = 'html' in act;
  const text = html
    ? act.html
    : `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${act.code}</Code><Message>${act.message ?? 'made by the test'}</Message></Error>`;
  answer.writeHead(act.status, { 'content-type': html ? 'text/html; charset=utf-8' : 'application/xml' });
  answer.end(bare ? undefined : text);
}

function trickle(answer: ServerResponse, bytes: Buffer, size: number): void {
  let sent = 0;
  const timer = setInterval(() => {
    answer.write(bytes.subarray(sent, sent + size));
    sent += size;
    if (!answer.destroyed && sent < bytes.length) return;
    clearInterval(timer);
    answer.end();
  }, 50);
}
