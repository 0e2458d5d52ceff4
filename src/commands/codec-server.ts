import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { PayloadCodec } from '@temporalio/common';
import { type PayloadJson, payloadFromJson, payloadToJson } from '../runtime/payload-codec.ts';

const largestBody = 64 * 2 ** 20;

/**
 * Temporal's remote codec protocol on loopback: `temporal --codec-endpoint` sends payloads here to be encrypted and
 * decrypted, and so does the UI of `origin`. Whoever reaches the port can read runs: it ends with the command.
 */
export async function serveCodec(codec: PayloadCodec, port: number, origin: string): Promise<Server> {
  const server = createServer(async (request, response) => {
    response.setHeader('Access-Control-Allow-Origin', origin);
    response.setHeader('Access-Control-Allow-Headers', 'content-type, x-namespace, authorization');
    try {
      if (request.method === 'OPTIONS') return void response.writeHead(204).end();
      const verb = { '/encode': codec.encode, '/decode': codec.decode }[request.url ?? ''];
      if (request.method !== 'POST' || !verb) return void response.writeHead(404).end();
      const { payloads = [] } = JSON.parse(await bodyOf(request)) as { payloads?: PayloadJson[] };
      const done = await verb.call(codec, payloads.map(payloadFromJson));
      const json = JSON.stringify({ payloads: done.map(payloadToJson) });
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(json);
    } catch (error) {
      response.writeHead(400, { 'Content-Type': 'text/plain' }).end((error as Error).message);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return server;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > largestBody) throw new Error(`a request of more than ${largestBody} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
