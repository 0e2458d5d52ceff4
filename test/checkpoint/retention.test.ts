import { CreateMultipartUploadCommand, ListObjectVersionsCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { findCommits, readCommit } from '../../src/checkpoint/commits.ts';
import { attemptPrefix, commitKey } from '../../src/checkpoint/keys.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import { pin, pinsOf, unpin } from '../../src/checkpoint/pins.ts';
import { deleteCheckpoint, pruneCheckpoints } from '../../src/checkpoint/retention.ts';
import { findUnreferenced, sweepRun } from '../../src/checkpoint/sweep.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { long } from '../support/long.ts';
import { makeSnapshot } from './snapshot.ts';

let server: TestServer;
let store: S3ObjectStore;
beforeAll(async () => {
  server = await startServer();
  store = server.store();
});
afterAll(() => server.stop());

const phase = 'pretrain';
const at = (run: string, step: number, revision = 0) => ({ run, phase, step, revision });
const nothing = { newest: 2, steps: [], used: [] };

/** Real checkpoints of these steps, as a phase leaves them. */
async function committed(run: string, steps: readonly number[], revision = 0): Promise<void> {
  for (const step of steps)
    await commitCheckpoint(store, await makeSnapshot({ run, step, revision, attempt: `a${step}` }));
}

const stepsOf = async (run: string) =>
  (await findCommits(store, { run })).map(({ revision, step }) => `r${revision}@${step}`).sort();

async function keysOf(under: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(under)) keys.push(key);
  return keys;
}

describe('retention', () => {
  it('keeps the newest two, the branch points, the pinned and the used, and every object of the others goes', async () => {
    await committed('kept', [10, 20, 30, 40, 50, 60]);
    await pin(store, at('kept', 10), 'other.distill');
    const keep = { newest: 2, steps: [30], used: [at('kept', 20)] };
    const removed = await pruneCheckpoints(store, { run: 'kept', phase }, keep);
    expect(removed.map(({ step }) => step)).toEqual([40]);
    expect(await stepsOf('kept')).toEqual(['r0@10', 'r0@20', 'r0@30', 'r0@50', 'r0@60']);
    expect(await keysOf(attemptPrefix({ ...at('kept', 40), attempt: 'a40' }))).toEqual([]);
    expect(await findUnreferenced(store, 'kept')).toEqual([]);
  });

  it('counts only checkpoints that are whole: a damaged one takes no place, and is itself not lost', async () => {
    await committed('damaged', [10, 20, 30, 40]);
    await store.delete(`${attemptPrefix({ ...at('damaged', 30), attempt: 'a30' })}model.safetensors`);
    await pruneCheckpoints(store, { run: 'damaged', phase }, nothing);
    expect(await stepsOf('damaged')).toEqual(['r0@20', 'r0@30', 'r0@40']);
  });

  it('knows a later revision as newer, and keeps what it goes on from', async () => {
    await committed('revised', [10, 20, 30, 40]);
    await committed('revised', [30, 35], 1);
    await pruneCheckpoints(store, { run: 'revised', phase }, { ...nothing, used: [at('revised', 20)] });
    expect(await stepsOf('revised')).toEqual(['r0@20', 'r1@30', 'r1@35']);
  });

  const races = long ? 60 : 20;
  it(`in ${races} races a borrower has a whole checkpoint or a clear no`, async () => {
    let held = 0;
    for (let turn = 0; turn < races; turn++) {
      const run = `race-${turn % 4}`;
      await committed(run, [10]);
      const borrow = pin(store, at(run, 10), 'borrower').then(
        () => true,
        (error) => {
          if (error.code !== 'CheckpointDamaged') throw error;
          return false;
        },
      );
      const [gone, borrowed] = await Promise.all([deleteCheckpoint(store, at(run, 10)), borrow]);
      if (borrowed) {
        held++;
        // The deletion saw the pin, or had not begun.
        expect(gone).toBe(false);
        const { manifest } = await readManifest(store, await readCommit(store, at(run, 10)));
        for (const { path, bytes } of manifest.state)
          expect((await store.head(manifest.prefix + path))?.bytes).toBe(bytes);
      }
      await unpin(store, at(run, 10), 'borrower');
      await deleteCheckpoint(store, at(run, 10));
      await sweepRun(store, run, { graceMs: 0 });
    }
    expect(held).toBeGreaterThan(0);
    for (let run = 0; run < 4; run++) expect(await findUnreferenced(store, `race-${run}`)).toEqual([]);
  }, 120_000);

  it('killed at any of its writes leaves a whole checkpoint or what a sweep takes', async () => {
    const left: string[] = [];
    for (let writes = 0; ; writes++) {
      const run = `half-${writes}`;
      await committed(run, [10, 20]);
      const dying = dyingAfter(writes);
      const killed = await deleteCheckpoint(dying, at(run, 10)).then(
        () => false,
        () => true,
      );
      await sweepRun(store, run, { graceMs: 0 });
      left.push((await stepsOf(run)).join(' '));
      expect(await findUnreferenced(store, run)).toEqual([]);
      if (!killed) break;
    }
    // Before its mark, with it, and when it had decided; then the commit is gone.
    expect(left.slice(0, 4)).toEqual(['r0@10 r0@20', 'r0@10 r0@20', 'r0@10 r0@20', 'r0@20']);
    expect(left.length).toBeGreaterThan(6);
  });
});

/** A store that fails for good after so many writes, as for a process that is killed. */
function dyingAfter(writes: number): S3ObjectStore {
  let left = writes;
  const write =
    (name: 'put' | 'purge') =>
    async (...args: unknown[]) => {
      if (left-- <= 0) throw new Error('killed');
      return (store[name] as (...all: unknown[]) => Promise<unknown>).apply(store, args);
    };
  return new Proxy(store, {
    get(target, name) {
      if (name === 'put' || name === 'purge') return write(name);
      const value = target[name as keyof S3ObjectStore];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('a sweep', () => {
  it('takes at once what an attempt left whose step another committed, and what might still be committed only when old', async () => {
    await committed('swept', [10]);
    const lost = attemptPrefix({ ...at('swept', 10), attempt: 'zombie' });
    const open = attemptPrefix({ ...at('swept', 20), attempt: 'young' });
    for (const prefix of [lost, open]) await store.put(`${prefix}model.safetensors`, 'bytes');
    const upload = { Bucket: 'test', Key: `${open}training-moments.safetensors` };
    const { UploadId } = await store.client.send(new CreateMultipartUploadCommand(upload));
    await store.client.send(new UploadPartCommand({ ...upload, UploadId, PartNumber: 1, Body: 'part' }));
    expect(await sweepRun(store, 'swept', { graceMs: 3_600_000 })).toMatchObject({ prefixes: [lost], uploads: 0 });
    expect(await findUnreferenced(store, 'swept')).toEqual([
      `${open}model.safetensors`,
      `${open}training-moments.safetensors, upload ${UploadId}`,
    ]);
    expect(await sweepRun(store, 'swept', { graceMs: 0 })).toMatchObject({ prefixes: [open] });
    expect(await findUnreferenced(store, 'swept')).toEqual([]);
    expect(await stepsOf('swept')).toEqual(['r0@10']);
  });

  it('under an attempt that comes back late ends that attempt, not the readability of a checkpoint', async () => {
    const late = await makeSnapshot({ run: 'late', step: 10, attempt: 'late' });
    const back = commitCheckpoint(store, late, {
      onPoint: async (point) => {
        if (point === 'manifest') await sweepRun(store, 'late', { graceMs: 0 });
      },
    });
    await expect(back).rejects.toMatchObject({ code: 'StorageUnavailable' });
    expect(await stepsOf('late')).toEqual([]);
    // Swept once, it uploads again by itself, elsewhere: what was deleted there may still be on its way out.
    let sweeps = 0;
    const { commit } = await commitCheckpoint(store, late, {
      onPoint: async (point) => {
        if (point === 'manifest' && sweeps++ === 0) await sweepRun(store, 'late', { graceMs: 0 });
      },
    });
    expect(commit.prefix).toBe('runs/late/pretrain/r0/step-00000010-late.1/');
    expect(await stepsOf('late')).toEqual(['r0@10']);
    expect(await findUnreferenced(store, 'late')).toEqual([]);
  });

  it('forgets pins whose time is over, and no others', async () => {
    await committed('pinned', [10]);
    await pin(store, at('pinned', 10), 'pull-1', { untilMs: -1 });
    await pin(store, at('pinned', 10), 'me');
    expect(await sweepRun(store, 'pinned', { graceMs: 0 })).toMatchObject({ pins: 1 });
    expect((await pinsOf(store, { run: 'pinned', phase })).map(({ who }) => who)).toEqual(['me']);
    expect(await keysOf('runs/pinned/pretrain/pins/')).toHaveLength(1);
  });

  it('leaves what it does not know, and names it', async () => {
    await committed('strange', [10]);
    await store.put('runs/strange/pretrain/notes.txt', 'mine');
    await sweepRun(store, 'strange', { graceMs: 0 });
    expect(await findUnreferenced(store, 'strange')).toEqual(['runs/strange/pretrain/notes.txt']);
  });

  it('of a versioned bucket leaves no old version', async () => {
    const versioned = await startServer({ versions: true });
    try {
      const there = versioned.store();
      for (const step of [10, 20, 30])
        await commitCheckpoint(there, await makeSnapshot({ run: 'versions', step, attempt: `a${step}` }));
      // As a person would, with another tool: the versions stay.
      await there.delete(commitKey(at('versions', 20)));
      expect(await findUnreferenced(there, 'versions')).toContain(`${commitKey(at('versions', 20))}, a version`);
      await pruneCheckpoints(there, { run: 'versions', phase }, { ...nothing, newest: 1 });
      await sweepRun(there, 'versions', { graceMs: 0 });
      expect(await findUnreferenced(there, 'versions')).toEqual([]);
      expect((await findCommits(there, { run: 'versions' })).map(({ step }) => step)).toEqual([30]);
      const { Versions } = await there.client.send(new ListObjectVersionsCommand({ Bucket: 'test' }));
      // The hint was moved twice; everything else was written once.
      expect(Versions!.filter(({ Key }) => !Key!.endsWith('latest.json'))).toHaveLength(5);
    } finally {
      await versioned.stop();
    }
  });
});
