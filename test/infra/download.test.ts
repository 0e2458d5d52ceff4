import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { downloadFile } from '../../infra/setup/download.ts';
import { silent } from '../../infra/setup/progress.ts';
import { runTool } from '../../infra/setup/run-tool.ts';
import { downloadWheel } from '../../infra/setup/wheel.ts';

const folder = mkdtempSync(join(tmpdir(), 'siglip2-download-'));
const bytes = Buffer.alloc(300_000, 'siglip');
const sha256 = createHash('sha256').update(bytes).digest('hex');
let server: Server;
let address: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/missing') return response.writeHead(404).end();
    response.writeHead(200, { 'content-length': bytes.length });
    if (request.url === '/broken') return response.write(bytes.subarray(0, 100_000), () => response.destroy());
    const sent = Buffer.from(bytes);
    if (request.url === '/other') sent[200_000]! ^= 1;
    return response.end(sent);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const get = (path: string) =>
  downloadFile({ url: `${address}/${path}`, sha256, file: join(folder, 'tool.tar.gz'), what: 'tool 1.0.0' }, silent);

test('a download with the pinned bytes is taken', async () => {
  expect(await get('whole')).toBe(true);
});

test('a download that differs in one bit is refused, and both hashes are named', async () => {
  await expect(get('other')).rejects.toMatchObject({
    code: 'SetupMissing',
    message: expect.stringMatching(
      new RegExp(`tool\\.tar\\.gz \\(300000 bytes\\) has SHA-256 [0-9a-f]{64}, but ${sha256}`),
    ),
  });
});

test('a download that breaks off is refused and says what to do', async () => {
  await expect(get('broken')).rejects.toMatchObject({
    code: 'SetupMissing',
    message: 'the download of tool 1.0.0 broke off; type the same command again',
  });
});

test('a file or a host that is not there leaves the choice to the next way', async () => {
  expect(await get('missing')).toBe(false);
  const nowhere = { url: 'http://127.0.0.1:1/x', sha256, file: join(folder, 'x'), what: 'x' };
  expect(await downloadFile(nowhere, silent)).toBe(false);
});

test('a wheel that is not the pinned one is refused after pip has accepted it', async () => {
  const index = join(folder, 'index');
  mkdirSync(index);
  const make = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    info = 'siglip2_pin_test-1.0.dist-info/'
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: siglip2-pin-test\\nVersion: 1.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', '')
`;
  writeFileSync(join(folder, 'make.py'), make);
  await runTool('python3', [join(folder, 'make.py'), join(index, 'siglip2_pin_test-1.0-py3-none-any.whl')]);
  process.env.PIP_NO_INDEX = '1';
  process.env.PIP_FIND_LINKS = index;
  try {
    const wheel = { project: 'siglip2-pin-test', version: '1.0', sha256: '0'.repeat(64) };
    await expect(downloadWheel(wheel, join(folder, 'wheels'), silent)).rejects.toMatchObject({
      code: 'SetupMissing',
      message: expect.stringMatching(/^siglip2_pin_test-1\.0-py3-none-any\.whl .* but 0{64} is pinned/),
    });
  } finally {
    delete process.env.PIP_NO_INDEX;
    delete process.env.PIP_FIND_LINKS;
  }
});
