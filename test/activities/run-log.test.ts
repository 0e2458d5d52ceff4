import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, it } from 'vitest';
import { createActivities } from '../../activities/index.ts';
import { placeOf } from '../../activities/run-log.ts';
import type { ShardResult } from '../../activities/types/shard.ts';
import { createTrainerProcess } from '../../src/trainer/process.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { logsHere } from '../run-logs/fixture.ts';
import { hands, planOf, shard } from './fixture.ts';

it('a log belongs to what the plan of an activity names, and else to its workflow', () => {
  const plan = { run: 'pets', phase: 'pretrain' };
  expect(placeOf({ plan, toStep: 3 }, 'other')).toEqual(plan);
  expect(placeOf({ run: 'pets', recipe: {} }, 'pets')).toEqual({ run: 'pets', phase: null });
  expect(placeOf({ document: {}, from: 0 }, 'pets/pretrain')).toEqual(plan);
  expect(placeOf({ plan: { document: {}, prefix: 'evaluations/' } }, 'pets/pretrain/zero-shot-20')).toEqual(plan);
  expect(placeOf(undefined, 'my-pack')).toEqual({ run: 'my-pack', phase: null });
  expect(placeOf({ plan: { run: '../x', phase: 'y' } }, 'a b')).toBeNull();
  expect(placeOf(null, '')).toBeNull();
});

it('what a shard logs, what its trainer says and how that ends is in the log of its phase', async () => {
  const here = logsHere();
  const folder = mkdtempSync(join(tmpdir(), 'run-log-'));
  const store = new MemoryStore();
  const workerLog: string[] = [];
  const log = {
    info: (_: object, text: string) => workerLog.push(text),
    warn: (_: object, text: string) => workerLog.push(text),
  };
  const trainer = createTrainerProcess({
    lockFile: join(folder, 'device.lock'),
    log,
    script: fileURLToPath(new URL('../trainer/fake-trainer.mjs', import.meta.url)),
    env: {
      ...process.env,
      FAKE_FAULT: JSON.stringify({
        crash: { step: 15, once: join(folder, 'crashed') },
        says: { step: 15, once: join(folder, 'said'), text: 'Check failed: a last sentence\n' },
      }),
    },
  });
  const runLogs = await here.open();
  try {
    const activities = createActivities({
      store,
      trainer,
      scratch: join(folder, 'scratch'),
      log,
      codeVersion: '1',
      runLogs,
    });
    const input = shard(await planOf(store, 'test'), 20);
    const environment = new MockActivityEnvironment({ activityType: 'trainShard', attempt: 2 });
    const result = await environment.run(activities.trainShard, input);
    expect(result).toMatchObject({ checkpoint: { step: 20 } });
    await runLogs.close(1000);
    const lines = await here.read({ run: 'test', phase: 'pretrain' });
    const texts = lines.map(({ text }) => text);
    expect(texts[0]).toBe('begins, attempt 2');
    expect(texts.at(-1)).toMatch(/^over after \d+\.\d s$/);
    const said = lines.findIndex(({ text }) => text === 'Check failed: a last sentence');
    expect(lines[said]).toMatchObject({ level: 'warn', from: 'trainer', activity: 'trainShard', number: 2 });
    const crashed = texts.findIndex((text) =>
      /^the trainer process ended by SIGKILL .*; its last words: Check failed: a last sentence$/.test(text),
    );
    expect(crashed).toBeGreaterThan(said);
    expect(lines[crashed]!.fields).toEqual({ crashes: 1 });
    expect(texts.indexOf('committed step 10')).toBeGreaterThan(0);
    expect(texts.indexOf('committed step 20')).toBeGreaterThan(crashed);
    // The worker's own log has all that was said in between too.
    expect(workerLog).toEqual(expect.arrayContaining(texts.slice(1, -1)));
  } finally {
    await trainer.close();
    rmSync(folder, { recursive: true });
    here.close();
  }
});

it('a trainer that died between two shards is told of in the log of the one that comes next, though that only asks for its device first', async () => {
  const here = logsHere();
  const on = hands();
  const store = new MemoryStore();
  const trainer = on.trainer();
  const runLogs = await here.open();
  try {
    const activities = createActivities({ ...on.deps(store, { trainer }), runLogs });
    const trained = async (run: string) => {
      const environment = new MockActivityEnvironment({ activityType: 'trainShard', attempt: 1 });
      return environment.run(activities.trainShard, shard(await planOf(store, run), 20));
    };
    const { checkpoint } = (await trained('one')) as ShardResult;
    expect(trainer.holds(checkpoint.sha256)).toBe(true);
    process.kill(JSON.parse(readFileSync(join(on.folder, 'device-0.lock.trainer'), 'utf8')).pid, 'SIGKILL');
    await expect.poll(() => trainer.holds(checkpoint.sha256)).toBe(false);
    await trained('two');
    await trained('three');
    await runLogs.close(1000);
    const told = async (run: string) =>
      (await here.read({ run, phase: 'pretrain' })).filter(({ text }) =>
        /^the trainer process ended by SIGKILL/.test(text),
      );
    expect(await told('two')).toEqual([expect.objectContaining({ level: 'warn', from: 'trainer' })]);
    expect([await told('one'), await told('three')]).toEqual([[], []]);
  } finally {
    await on.close();
    here.close();
  }
});
