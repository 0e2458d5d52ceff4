import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keepDocument } from '../../activities/documents.ts';
import { claimRun } from '../../src/checkpoint/claim.ts';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { findCommits, newestCommit } from '../../src/checkpoint/commits.ts';
import { commitKey } from '../../src/checkpoint/keys.ts';
import { manifestKey } from '../../src/checkpoint/manifest.ts';
import { pullCheckpoint } from '../../src/checkpoint/pull.ts';
import { pruneCheckpoints } from '../../src/checkpoint/retention.ts';
import { sweepRun } from '../../src/checkpoint/sweep.ts';
import { listRuns } from '../../src/commands/list-runs.ts';
import { remove } from '../../src/commands/remove.ts';
import { readRunStatus } from '../../src/commands/run-status.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { type Rot, rot, rots } from '../storage/rot.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { makeSnapshot } from './snapshot.ts';

let server: TestServer;
let store: S3ObjectStore;
let folder: string;
beforeAll(async () => {
  server = await startServer();
  // One look for each request: the store is known to answer with what lies on its disk.
  store = server.store({ attempts: 1 });
  folder = await mkdtemp(join(tmpdir(), 'siglip2-damage-'));
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const lines = async (from: AsyncIterable<string>) => {
  const all: string[] = [];
  for await (const line of from) all.push(line);
  return all;
};

const cases = (['commit', 'manifest'] as const).flatMap((what) =>
  (Object.keys(rots) as Rot[]).map((how) => [what, how] as const),
);

describe.each(cases)('a %s that is %s on the disk of the store', (what, how) => {
  const run = `${what}-${how.replaceAll(/[^a-z]+/g, '-')}`;
  const phase = { run, phase: 'pretrain' };
  beforeAll(async () => {
    for (const step of [10, 20, 30]) {
      const { commit } = await commitCheckpoint(store, await makeSnapshot({ run, step, attempt: 'a' }));
      if (step === 30) rot(server, what === 'commit' ? commitKey(commit) : manifestKey(commit.prefix), how);
    }
  });

  it('is damage that names step and object, and is passed over for the checkpoint before it', async () => {
    await expect(newestCommit(store, phase, 0)).rejects.toMatchObject({
      code: 'CheckpointDamaged',
      details: { step: 30, object: expect.stringContaining(what === 'commit' ? '/commits/' : '/manifest.json') },
    });
    const passed: string[] = [];
    const found = await newestCommit(store, phase, 0, { onDamaged: ({ message }) => passed.push(message) });
    expect(found?.step).toBe(20);
    expect(passed).toHaveLength(1);
    const said: string[] = [];
    const pulled = await pullCheckpoint(store, `${run}/pretrain`, join(folder, run), {
      log: (line) => said.push(line),
    });
    expect(pulled.step).toBe(20);
    expect(said.join('\n')).toMatch(/pretrain@30 is damaged: .*; falling back to an older one/);
    expect((await readRunStatus(null, store, run)).newest).toMatchObject({ step: 20 });
  });

  it('stops no listing, sweep, retention or deletion', async () => {
    // What is readable of it is listed: a commit whose manifest is wrong looks right until it is fetched.
    expect((await lines(listRuns(store, run)))[0]).toMatch(
      what === 'commit' ? /@30 +damaged$/ : /@30 +\S+Z +loss 1\.500/,
    );
    expect((await lines(listRuns(store))).filter((line) => line.startsWith(run))).toHaveLength(1);
    expect(await sweepRun(store, run, { graceMs: 0 })).toMatchObject({ prefixes: [] });
    const keep = { newest: 1, steps: [], used: [] };
    expect((await pruneCheckpoints(store, phase, keep)).map(({ step }) => step)).toEqual([10]);
    expect((await findCommits(store, { run })).map(({ step }) => step)).toEqual([20, 30]);
    expect((await lines(remove(store, run, { run }, true))).at(-1)).toBe('deleted');
    expect(await lines(store.list(`runs/${run}/`) as never)).toEqual([]);
  });
});

describe.each(Object.keys(rots) as Rot[])('a document that is %s on the disk of the store', (how) => {
  it('is made again where it can be', async () => {
    const document = await keepDocument(store, 'kept', 'settings', { how, rate: 0.001 });
    rot(server, document.key, how);
    expect(await keepDocument(store, 'kept', 'settings', { how, rate: 0.001 })).toEqual(document);
    expect(sha256(await store.get(document.key))).toBe(document.sha256);
    const { etag, modified } = (await store.head(document.key))!;
    await keepDocument(store, 'kept', 'settings', { how, rate: 0.001 });
    expect(await store.head(document.key)).toMatchObject({ etag, modified });
  });

  it('is the name of a run as before, when its checkpoints say by which recipe they were made', async () => {
    const run = `named-${how.replaceAll(/[^a-z]+/g, '-')}`;
    await claimRun(store, run, sha256('recipe'), { name: 'recipe' });
    await commitCheckpoint(store, await makeSnapshot({ run, step: 10, attempt: 'a' }));
    rot(server, `runs/${run}/run.json`, how);
    await expect(claimRun(store, run, sha256('other'))).rejects.toMatchObject({ code: 'RunNameTaken' });
    expect(await claimRun(store, run, sha256('recipe'), { name: 'recipe' })).toEqual({ created: false });
    expect(JSON.parse(String(await store.get(`runs/${run}/run.json`)))).toMatchObject({ recipe: { name: 'recipe' } });
  });
});

it('a document whose write is refused without end is not called kept', async () => {
  const busy: S3ObjectStore = Object.assign(Object.create(store), {
    head: store.head.bind(store),
    get: store.get.bind(store),
    // What a store says while others write: the product has asked five times before it comes to this.
    put: () =>
      store
        .put('runs/busy/x', 'x', { ifMatch: 'another' })
        .catch(() => store.put('runs/busy/y', 'y', { ifAbsent: true })),
  });
  await store.put('runs/busy/y', 'y');
  await expect(keepDocument(busy, 'busy', 'settings', { rate: 1 })).rejects.toMatchObject({
    code: 'StorageUnavailable',
  });
});
