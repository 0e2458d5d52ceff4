import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { PayloadCodec } from '@temporalio/common';
import { z } from 'zod';
import { isRunnerError } from '../runtime/errors.ts';
import { type PayloadJson, payloadFromJson, payloadToJson } from '../runtime/payload-codec.ts';

const largestBody = 64 * 2 ** 20;
const loopback = ['127.0.0.1', 'localhost', '[::1]'];

const base64 = z.string('not text in base64').regex(/^[A-Za-z0-9+/]*={0,2}$/, 'not text in base64');
// Whoever has none to be translated leaves them out, as Protocol Buffers do in JSON.
const requestSchema = z.object({
  payloads: z
    .array(z.object({ metadata: z.record(z.string(), base64).optional(), data: base64.optional() }))
    .default([]),
});

/** A request that is refused, and why. */
class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface CodecOptions {
  readonly port: number;
  /** Of the UI that may ask from a browser. */
  readonly origin: string;
  /** Names that it may be asked by, beside those of loopback. */
  readonly hosts?: readonly string[];
}

/**
 * Temporal's remote codec protocol on loopback: `temporal --codec-endpoint` sends payloads here to be encrypted and
 * decrypted, and so does the UI of `origin`. Whoever reaches the port can read runs: it ends with the command. Another
 * name in `Host` is that of a page which has its own name resolved to this machine, so it is refused.
 */
export async function serveCodec(codec: PayloadCodec, { port, origin, hosts = [] }: CodecOptions): Promise<Server> {
  const allowed = [...loopback, ...hosts.map((name) => name.toLowerCase())];
  const server = createServer(async (request, response) => {
    try {
      requireHost(request.headers.host, allowed);
      response.setHeader('Access-Control-Allow-Origin', origin);
      response.setHeader('Access-Control-Allow-Headers', 'content-type, x-namespace, authorization');
      if (request.method === 'OPTIONS') return void response.writeHead(204).end();
      const verb = { '/encode': codec.encode, '/decode': codec.decode }[request.url ?? ''];
      if (request.method !== 'POST' || !verb) return void response.writeHead(404).end();
      const done = await verb.call(codec, (await payloadsOf(request)).map(payloadFromJson));
      const json = JSON.stringify({ payloads: done.map(payloadToJson) });
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(json);
    } catch (error) {
      // What a codec says is for people: that of another key is the usual one.
      const said = error instanceof Refused || isRunnerError(error);
      const status = error instanceof Refused ? error.status : 400;
      const message = said ? error.message : 'the payloads could not be read';
      response.writeHead(status, { 'Content-Type': 'text/plain' }).end(message);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return server;
}

/** The port is no matter: it may be reached through a tunnel. */
function requireHost(host: string | undefined, allowed: readonly string[]): void {
  const name = (host ?? '').replace(/:\d+$/, '').toLowerCase();
  if (allowed.includes(name)) return;
  throw new Refused(
    403,
    `the codec was asked as ${JSON.stringify(name.slice(0, 100))}; allowed: ${allowed.join(', ')}, and names given by --host`,
  );
}

async function payloadsOf(request: IncomingMessage): Promise<readonly PayloadJson[]> {
  let json: unknown;
  try {
    json = JSON.parse(await bodyOf(request));
  } catch (error) {
    throw error instanceof Refused ? error : new Refused(400, 'the request is not JSON; allowed: {"payloads": [...]}');
  }
  const { data, error } = requestSchema.safeParse(json);
  if (data) return data.payloads as readonly PayloadJson[];
  const { path, message } = error.issues[0]!;
  throw new Refused(
    400,
    `${path.join('.') || 'the request'}: ${message}; allowed: {"payloads": [{"metadata": {NAME: BASE64}, "data": BASE64}, ...]}`,
  );
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > largestBody) throw new Refused(413, `a request of more than ${largestBody} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
