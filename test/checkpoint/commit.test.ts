import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { claimRun } from '../../src/checkpoint/claim.ts';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { findCommits, listCommits, newestCommit, readCommit } from '../../src/checkpoint/commits.ts';
import { parseLatest } from '../../src/checkpoint/documents.ts';
import { repairHint } from '../../src/checkpoint/hint.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import { hashJson } from '../../src/runtime/hash.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { long } from '../support/long.ts';
import { byAnother, makeSnapshot, overwrite } from './snapshot.ts';

let server: TestServer;
let store: S3ObjectStore;
beforeAll(async () => {
  server = await startServer();
  store = server.store();
});
afterAll(() => server.stop());

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const item of store.list(prefix)) found.push(item.key);
  return found;
}

async function hint(run: string): Promise<{ revision: number; step: number; manifestSha256: string }> {
  return parseLatest(await store.get(`runs/${run}/pretrain/latest.json`)).value!;
}

class Crash extends Error {}

describe('a step is committed once', () => {
  test('a commit names its manifest, and the manifest every file', async () => {
    const snapshot = await makeSnapshot({ run: 'plain', step: 400, attempt: 'a1' });
    const { commit, ref, adopted } = await commitCheckpoint(store, snapshot);
    expect(adopted).toBe(false);
    expect(await keys('runs/plain/')).toEqual([
      'runs/plain/pretrain/latest.json',
      'runs/plain/pretrain/r0/commits/step-00000400.json',
      'runs/plain/pretrain/r0/step-00000400-a1/config.json',
      'runs/plain/pretrain/r0/step-00000400-a1/manifest.json',
      'runs/plain/pretrain/r0/step-00000400-a1/model.safetensors',
      'runs/plain/pretrain/r0/step-00000400-a1/training-moments.safetensors',
    ]);
    expect(commit).toMatchObject({ step: 400, examples: 102_400, attempt: 'a1', metrics: { loss: 1.5 } });
    const { manifest } = await readManifest(store, ref);
    expect(manifest.state).toEqual(snapshot.state);
    expect(manifest.sidecars).toMatchObject([{ path: 'config.json', bytes: snapshot.sidecars[0]!.content.length }]);
    expect(await readCommit(store, { run: 'plain', phase: 'pretrain', revision: 0, step: 400 })).toEqual(commit);
    expect(await hint('plain')).toMatchObject({ step: 400, manifestSha256: ref.manifestSha256 });
  });

  test.each(['objects', 'manifest', 'commit', 'hint'] as const)(
    'a worker that dies after the %s is followed by one that leaves one committed result and a right hint',
    async (deadly) => {
      const run = `crash-${deadly}`;
      const first = await makeSnapshot({ run, step: 100, attempt: 'a1' });
      const dying = commitCheckpoint(store, first, {
        onPoint: (point) => {
          if (point === deadly) throw new Crash();
        },
      });
      await expect(dying).rejects.toThrow(Crash);
      const { commit, adopted } = await commitCheckpoint(store, byAnother(first, 'a2'));
      const committed = deadly === 'commit' || deadly === 'hint';
      expect(adopted).toBe(committed);
      expect(commit.attempt).toBe(committed ? 'a1' : 'a2');
      expect(await listCommits(store, { run, phase: 'pretrain' }, 0)).toEqual([commit]);
      expect(await hint(run)).toMatchObject({ revision: 0, step: 100, manifestSha256: commit.manifestSha256 });
      expect((await readManifest(store, commit)).manifest.attempt).toBe(commit.attempt);
      // The dead attempt's manifest is all that may be left without a commit; a later sweep removes it.
      const manifests = (await keys(`runs/${run}/`)).filter((key) => key.endsWith('manifest.json'));
      expect(manifests).toHaveLength(deadly === 'manifest' ? 2 : 1);
    },
  );

  test.each(['objects', 'manifest', 'commit', 'hint'] as const)(
    'the same attempt goes on by itself after a failure behind the %s',
    async (broken) => {
      const run = `again-${broken}`;
      const snapshot = await makeSnapshot({ run, step: 100, attempt: 'a1' });
      const failing = commitCheckpoint(store, snapshot, {
        onPoint: (point) => {
          if (point === broken) throw new Crash();
        },
      });
      await expect(failing).rejects.toThrow(Crash);
      const { commit, adopted } = await commitCheckpoint(store, snapshot);
      expect({ adopted, attempt: commit.attempt }).toEqual({ adopted: false, attempt: 'a1' });
      await readManifest(store, commit);
      expect(await keys(`runs/${run}/`)).toHaveLength(6);
      expect((await hint(run)).manifestSha256).toBe(commit.manifestSha256);
    },
  );

  test('an answer that was lost on the way does not make a second result', async () => {
    const snapshot = await makeSnapshot({ run: 'lost', step: 100, attempt: 'a1' });
    let lost = 0;
    const deaf: S3ObjectStore = Object.assign(Object.create(store), {
      put: async (...args: Parameters<S3ObjectStore['put']>) => {
        const answer = await store.put(...args);
        // The write is done, its answer breaks off, and the SDK asks again.
        if (!args[2]?.ifAbsent || lost++ > 5) return answer;
        return store.put(...args);
      },
    });
    for (const name of ['head', 'get', 'small', 'putFile', 'list', 'delete'] as const)
      Object.assign(deaf, { [name]: (store[name] as (...args: unknown[]) => unknown).bind(store) });
    const { commit, adopted } = await commitCheckpoint(deaf, snapshot);
    expect(lost).toBe(3);
    expect({ adopted, attempt: commit.attempt }).toEqual({ adopted: false, attempt: 'a1' });
    await readManifest(store, commit);
  });

  test('another attempt from the same inputs is adopted, although its bytes are others', async () => {
    const winner = await makeSnapshot({ run: 'adopt', step: 100, attempt: 'a1' }, { seed: 1 });
    const loser = await makeSnapshot({ run: 'adopt', step: 100, attempt: 'a2' }, { seed: 2 });
    const first = await commitCheckpoint(store, winner);
    const second = await commitCheckpoint(store, loser);
    expect(second).toEqual({ ...first, adopted: true });
    expect((await keys('runs/adopt/')).some((key) => key.includes('-a2/'))).toBe(false);
  });

  test('a step that was committed from other inputs is refused, and nothing changes', async () => {
    const mine = await makeSnapshot({ run: 'two', step: 100, attempt: 'a1' });
    const theirs = { ...byAnother(mine, 'b1'), inputHash: hashJson({ another: 'recipe' }) };
    const { commit } = await commitCheckpoint(store, mine);
    const before = await keys('runs/two/');
    await expect(commitCheckpoint(store, theirs)).rejects.toMatchObject({ code: 'TwoRunsUnderOneName' });
    await expect(commitCheckpoint(store, theirs)).rejects.toThrow(
      'two/pretrain@100 was already committed from other inputs',
    );
    expect(await keys('runs/two/')).toEqual(before);
    expect(await listCommits(store, { run: 'two', phase: 'pretrain' }, 0)).toEqual([commit]);
  });

  test('the next revision commits the same step anew', async () => {
    const first = await makeSnapshot({ run: 'redo', step: 100, attempt: 'a1' });
    await commitCheckpoint(store, first);
    const { commit } = await commitCheckpoint(store, {
      ...first,
      revision: 1,
      inputHash: hashJson({ learningRate: 'halved' }),
    });
    expect(commit.prefix).toBe('runs/redo/pretrain/r1/step-00000100-a1/');
    expect(await hint('redo')).toMatchObject({ revision: 1, step: 100 });
  });

  test('a snapshot that changed on disk is not committed', async () => {
    const snapshot = await makeSnapshot({ run: 'changed', step: 100, attempt: 'a1' });
    await overwrite(snapshot.folder, 'model.safetensors', 'something else');
    await expect(commitCheckpoint(store, snapshot)).rejects.toMatchObject({ code: 'SnapshotChanged' });
    expect(await findCommits(store, { run: 'changed' })).toEqual([]);
  });

  test.each([
    ['a loss that is no number', { metrics: { loss: Number.NaN, examplesPerSecond: 1, dataWaitShare: 0 } }],
    ['a sidecar outside its folder', { sidecars: [{ path: '../run.json', content: '{}' }] }],
    ['a sidecar in place of the manifest', { sidecars: [{ path: 'manifest.json', content: '{}' }] }],
    ['a run name that leaves its prefix', { run: '../other' }],
    ['an attempt that leaves its prefix', { attempt: '..' }],
    ['half a step', { step: 0.5 }],
  ])('%s is refused before anything is uploaded', async (_, wrong) => {
    const snapshot = await makeSnapshot({ run: 'refused', step: 100, attempt: 'a1' });
    await expect(commitCheckpoint(store, { ...snapshot, ...wrong })).rejects.toMatchObject({ code: 'RecipeInvalid' });
    expect(await keys('runs/refused/')).toEqual([]);
    expect(await keys('runs/other/')).toEqual([]);
  });
});

/** Holds each caller until so many have come: then all write their commit object at once. */
function barrier(callers: number): () => Promise<void> {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return () => {
    if (--callers === 0) open();
    return opened;
  };
}

describe('races', () => {
  const rounds = long ? 50 : 15;

  test.each(['equal', 'unequal'] as const)(
    `${rounds} rounds of two attempts at one step with %s bytes: one commit, and both report it`,
    async (kind) => {
      const run = `race-${kind}`;
      const a = await makeSnapshot({ run, step: 1, attempt: 'a' }, { seed: 1, floats: 10 });
      const b =
        kind === 'equal'
          ? byAnother(a, 'b')
          : await makeSnapshot({ run, step: 1, attempt: 'b' }, { seed: 2, floats: 10 });
      for (let step = 1; step <= rounds; step++) {
        const ready = barrier(2);
        const onPoint = (point: string) => (point === 'manifest' ? ready() : undefined);
        const outcomes = await Promise.all([a, b].map((one) => commitCheckpoint(store, { ...one, step }, { onPoint })));
        expect(outcomes[0]?.commit).toEqual(outcomes[1]?.commit);
        expect(outcomes.map((outcome) => outcome.adopted).sort()).toEqual([false, true]);
        await readManifest(store, outcomes[0]!.ref);
      }
      const commits = await listCommits(store, { run, phase: 'pretrain' }, 0);
      expect(commits.map((commit) => commit.step)).toEqual(Array.from({ length: rounds }, (_, i) => i + 1));
      // The losers removed what they had uploaded: four objects a commit, the commit itself, and the hint.
      expect(await keys(`runs/${run}/`)).toHaveLength(rounds * 5 + 1);
      expect((await hint(run)).step).toBe(rounds);
    },
  );

  test('ten commits at once in any order leave the hint at the newest', async () => {
    const snapshot = await makeSnapshot({ run: 'hints', step: 1, attempt: 'a' }, { floats: 10 });
    const places = Array.from({ length: 10 }, (_, i) => ({ revision: i % 2, step: ((i * 7) % 10) + 1 }));
    await Promise.all(places.map((place) => commitCheckpoint(store, { ...snapshot, ...place })));
    const newest = Math.max(...places.filter((place) => place.revision === 1).map((place) => place.step));
    expect(await hint('hints')).toMatchObject({ revision: 1, step: newest });
  });
});

describe('finding commits', () => {
  beforeAll(async () => {
    for (const step of [100, 200, 300])
      await commitCheckpoint(store, await makeSnapshot({ run: 'find', step, attempt: 'a' }, { floats: 10 }));
  });
  const phase = { run: 'find', phase: 'pretrain' };

  test('the newest within a range of steps', async () => {
    expect((await newestCommit(store, phase, 0))?.step).toBe(300);
    expect((await newestCommit(store, phase, 0, { fromStep: 100, toStep: 299 }))?.step).toBe(200);
    expect(await newestCommit(store, phase, 0, { fromStep: 301 })).toBeNull();
    expect(await newestCommit(store, phase, 1)).toBeNull();
    expect(await findCommits(store, { run: 'find' })).toHaveLength(3);
  });

  test('a damaged manifest is an error that names step and object, or is passed over when asked', async () => {
    const { commit } = await commitCheckpoint(store, await makeSnapshot({ run: 'find', step: 400, attempt: 'a' }));
    const key = `${commit.prefix}manifest.json`;
    const manifest = String(await store.get(key));
    await store.put(key, manifest.replace('"loss": 1.5', '"loss": 1.4'));
    await expect(newestCommit(store, phase, 0)).rejects.toMatchObject({
      code: 'CheckpointDamaged',
      retryable: false,
      details: { step: 400, object: key },
    });
    await expect(newestCommit(store, phase, 0)).rejects.toThrow('has other bytes than were committed');
    const passed: string[] = [];
    const found = await newestCommit(store, phase, 0, { onDamaged: (error) => passed.push(error.message) });
    expect(found?.step).toBe(300);
    expect(passed).toHaveLength(1);
    await store.delete(key);
    await expect(newestCommit(store, phase, 0)).rejects.toThrow('manifest.json is missing');
  });

  test('a hint that is behind, missing or nonsense is repaired, and one that is right stays', async () => {
    // Of step 400 the manifest is gone: the hint is to what can be read.
    const key = 'runs/find/pretrain/latest.json';
    for (const wrong of ['{"version":1}', 'not JSON', null]) {
      if (wrong === null) await store.delete(key);
      else await store.put(key, wrong);
      await repairHint(store, phase);
      expect((await hint('find')).step).toBe(300);
    }
    const { etag } = (await store.head(key))!;
    await repairHint(store, phase);
    expect((await store.head(key))?.etag).toBe(etag);
  });
});

describe('the name of a run', () => {
  test('goes to one of ten that ask at once, and the others may go on with the same recipe', async () => {
    const claims = await Promise.all(Array.from({ length: 10 }, () => claimRun(store, 'name', 'hash-1', { seed: 0 })));
    expect(claims.filter((claim) => claim.created)).toHaveLength(1);
    await expect(claimRun(store, 'name', 'hash-2')).rejects.toMatchObject({ code: 'RunNameTaken' });
    await expect(claimRun(store, 'name', 'hash-2')).rejects.toThrow('start under another --workflow-id');
    expect(await claimRun(store, 'name', 'hash-1')).toEqual({ created: false });
  });

  test('is not taken over from an object that is no run', async () => {
    await store.put('runs/odd/run.json', '[]');
    await expect(claimRun(store, 'odd', 'hash')).rejects.toMatchObject({ code: 'RunNameTaken' });
  });
});
