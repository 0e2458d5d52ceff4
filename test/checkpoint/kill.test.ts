import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { listCommits, newestCommit } from '../../src/checkpoint/commits.ts';
import { parseLatest } from '../../src/checkpoint/documents.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import type { S3Settings } from '../../src/storage/s3-client.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import type { DyingOrder } from './dying-worker.ts';
import { byAnother, makeSnapshot } from './snapshot.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

async function dieAt(order: DyingOrder): Promise<void> {
  const script = fileURLToPath(new URL('./dying-worker.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(order)], { stdio: 'inherit' });
  const [code, signal] = await once(child, 'exit');
  expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' });
}

test.each(['upload', 'objects', 'manifest', 'commit', 'hint'] as const)(
  'after kill -9 of a worker at "%s" the next attempt leaves one committed result and a right hint',
  async (at) => {
    const store = server.store();
    const run = `killed-${at}`;
    // Parts of 5 MiB, so that even a small checkpoint goes up in several.
    const settings: S3Settings = { ...server.settings, multipartAbove: 5_000_000, partBytes: 5 * 1024 * 1024 };
    const checkpoint = await makeSnapshot({ run, step: 100, attempt: 'a1' }, { floats: 1_500_000 });
    await dieAt({ settings, checkpoint, at });
    const phase = { run, phase: 'pretrain' };
    const survived = at === 'commit' || at === 'hint';
    expect((await newestCommit(store, phase, 0))?.attempt).toBe(survived ? 'a1' : undefined);
    const { commit, adopted } = await commitCheckpoint(store, byAnother(checkpoint, 'a2'));
    expect({ adopted, attempt: commit.attempt }).toEqual({ adopted: survived, attempt: survived ? 'a1' : 'a2' });
    expect(await listCommits(store, phase, 0)).toEqual([commit]);
    expect((await readManifest(store, commit)).manifest.state).toEqual(checkpoint.state);
    const hint = parseLatest(await store.get(`runs/${run}/pretrain/latest.json`));
    expect(hint.value?.manifestSha256).toBe(commit.manifestSha256);
  },
);
