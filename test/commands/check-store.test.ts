import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatResult, formatSummary } from '../../src/commands/check-store.ts';
import { startFaultProxy } from '../storage/fault-proxy.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { answerOf } from '../support/answer-of.ts';
import { cliStart } from '../support/start.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'siglip2-check-store-command-'));
let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

function command(endpoint: string, ...args: string[]) {
  return spawn(process.execPath, [...cliStart, 'check-store', ...args], {
    cwd: root,
    env: { ...process.env, ...server.environment, AWS_ENDPOINT_URL: endpoint, SIGLIP2_STATE: folder },
  });
}

async function left(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of server.store().list('')) keys.push(key);
  return keys;
}

describe('siglip2 check-store', () => {
  it('says what would not work on a store that ignores conditions, and ends with 1', async () => {
    const proxy = await startFaultProxy(server.endpoint);
    proxy.faults = [{ at: () => true, act: { instead: 200, of: 412 }, times: 100_000 }];
    const { code, out, said } = await answerOf(command(proxy.endpoint));
    await proxy.close();
    expect(out).toContain(
      'conditions\n  ok    a key that is free can be created (If-None-Match)\n  NO    a key that is taken',
    );
    expect(out).toContain('        a second creation was taken\n');
    expect(out).toMatch(/\n\d\d of \d\d checks passed\. On this store:\n {2}- /);
    expect(out).toContain('\n  - two workers could both commit one step\n');
    expect(said).toMatch(
      /^Works below s3:\/\/test\/runs\/\.check-store-[-0-9a-f]{36}\/ and cleans it up, also after Ctrl-C/,
    );
    expect(code).toBe(1);
    expect(await left()).toEqual([]);
  }, 60_000);

  it('cleans up when it is interrupted, below the prefix that it was given', async () => {
    const child = command(server.endpoint, '--prefix', 'trial/of this', '--json');
    const answer = answerOf(child);
    await new Promise<void>((resolve) => child.stderr.once('data', () => resolve()));
    expect(await left()).not.toEqual([]);
    expect((await left()).every((key) => key.startsWith('trial/of this/.check-store-'))).toBe(true);
    child.kill('SIGINT');
    const { code, out } = await answer;
    expect(JSON.parse(out)).toMatchObject({ bucket: 'test', prefix: 'trial/of this', whole: false });
    expect(code).toBe(130);
    expect(await left()).toEqual([]);
  }, 60_000);

  it('a store that is not there is one sentence, and not sixty', async () => {
    const { code, out, said } = await answerOf(command('http://127.0.0.1:1'));
    expect([code, out]).toEqual([1, '']);
    expect(said).toMatch(
      /^no answer from http:\/\/127\.0\.0\.1:1 for s3:\/\/test\/runs\/\.check-store-.* \(ECONNREFUSED\); start the store, or set AWS_ENDPOINT_URL to where it listens\n$/,
    );
  }, 60_000);
});

describe('what it says', () => {
  const passed = { group: 'lists', what: 'a list of nothing is empty', without: 'x', outcome: 'pass', ms: 5 } as const;
  const lacking = {
    group: 'bucket',
    what: 'it can be asked',
    outcome: 'fail',
    found: '501: it can not',
    ms: 5,
  } as const;

  it('names a group once, and a slow check with its time', () => {
    expect(formatResult(passed, undefined)).toBe('lists\n  ok    a list of nothing is empty\n');
    expect(formatResult({ ...passed, found: '7', ms: 2345 }, passed)).toBe(
      '  ok    a list of nothing is empty (7), 2.3 s\n',
    );
    expect(formatResult(lacking, passed)).toBe('bucket\n  note  it can be asked\n        501: it can not\n');
  });

  it('ends with what would not work, or that runs do', () => {
    expect(formatSummary([passed])).toBe('\n1 of 1 checks passed. Runs work on this store.\n');
    expect(formatSummary([passed, lacking])).toBe(
      '\n1 of 2 checks passed. Runs work on this store; the notes say what it lacks that they can do without.\n',
    );
    const failed = { ...passed, outcome: 'fail', found: 'y', without: 'data would be overlooked' } as const;
    expect(formatSummary([failed, failed])).toBe(
      '\n0 of 2 checks passed. On this store:\n  - data would be overlooked\n',
    );
  });
});
