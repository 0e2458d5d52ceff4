import { randomBytes } from 'node:crypto';
import { request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serveCodec } from '../../src/commands/codec-server.ts';
import { encryption } from '../../src/runtime/payload-codec.ts';

let server: Server;
let port: number;
beforeAll(async () => {
  const origin = 'http://127.0.0.1:8233';
  server = await serveCodec(encryption(randomBytes(32)), { port: 0, origin, hosts: ['Codec.example'] });
  port = (server.address() as AddressInfo).port;
});
afterAll(() => void server.close());

/** As anybody who reaches the port may ask. */
function ask(path: string, body: string, host = `127.0.0.1:${port}`, method = 'POST') {
  return new Promise<{ status: number; body: string; origin: string | undefined }>((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers: { host } }, async (answer) => {
      let text = '';
      for await (const part of answer) text += part;
      const origin = answer.headers['access-control-allow-origin'];
      resolve({ status: answer.statusCode!, body: text, origin });
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

const plain = { metadata: { encoding: Buffer.from('json/plain').toString('base64') }, data: 'Im9wZW4i' };

describe('the codec', () => {
  it.each([
    ['127.0.0.1', 200],
    ['localhost:9000', 200],
    ['[::1]:8088', 200],
    ['codec.example', 200],
    ['evil.example', 403],
    ['127.0.0.1.evil.example:8088', 403],
    ['localhost.evil.example', 403],
  ])('asked as %s answers %i', async (host, status) => {
    const encoded = await ask('/encode', JSON.stringify({ payloads: [plain] }), host);
    expect(encoded.status).toBe(status);
    const preflight = await ask('/decode', '', host, 'OPTIONS');
    expect(preflight.status).toBe(status === 200 ? 204 : 403);
    expect(preflight.origin).toBe(status === 200 ? 'http://127.0.0.1:8233' : undefined);
    if (status === 200) {
      const decoded = await ask('/decode', encoded.body, host);
      expect(JSON.parse(decoded.body)).toEqual({ payloads: [plain] });
      expect(encoded.body).not.toContain(plain.data);
    } else
      expect(encoded.body).toMatch(
        /^the codec was asked as ".*evil\.example"; allowed: 127.0.0.1, localhost, \[::1\], codec.example, and names given by --host$/,
      );
  });

  it.each([
    ['not JSON', 'the request is not JSON; allowed: {"payloads": [...]}'],
    ['5', /^the request: .*expected object.*; allowed: \{"payloads": \[/],
    ['{"payloads": 5}', /^payloads: .*expected array.*; allowed/],
    ['{"payloads": [5]}', /^payloads\.0: .*expected object.*; allowed/],
    ['{"payloads": [{"data": 5}]}', /^payloads\.0\.data: not text in base64; allowed/],
    ['{"payloads": [{"data": "?"}]}', /^payloads\.0\.data: not text in base64; allowed/],
    ['{"payloads": [{"metadata": {"encoding": {}}}]}', /^payloads\.0\.metadata\.encoding: not text in base64; allowed/],
  ])('refuses %s with what is allowed', async (body, message) => {
    const refused = await ask('/decode', body);
    expect(refused.status).toBe(400);
    expect(refused.body).toMatch(message);
    expect(refused.body).not.toMatch(/\n|is not a function/);
  });

  it('says of a payload of another key which keys they are, and knows no other paths', async () => {
    const [other] = await encryption(randomBytes(32)).encode([{ data: Buffer.from('x') }]);
    const metadata = Object.entries(other!.metadata!).map(([name, bytes]) => [
      name,
      Buffer.from(bytes).toString('base64'),
    ]);
    const payload = {
      metadata: Object.fromEntries(metadata),
      data: Buffer.from(other!.data!).toString('base64'),
    };
    const refused = await ask('/decode', JSON.stringify({ payloads: [payload] }));
    expect(refused).toMatchObject({ status: 400, body: expect.stringMatching(/was encrypted under key [0-9a-f]{16}/) });
    // As the Temporal CLI asks for a query without input.
    expect(await ask('/encode', '{}')).toMatchObject({ status: 200, body: '{"payloads":[]}' });
    expect((await ask('/other', '{}')).status).toBe(404);
    expect((await ask('/decode', '{}', undefined, 'GET')).status).toBe(404);
  });
});
