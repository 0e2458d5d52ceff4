import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { formatStatus } from '../../src/commands/format-status.ts';
import { readRunStatus } from '../../src/commands/run-status.ts';
import { tryLock } from '../../src/runtime/lock.mjs';
import { isAlive, type ProcessName } from '../../src/runtime/services-state.ts';
import { newestStep, type Run, type Site, startSite, tinyRecipe, until } from '../faults/harness.ts';
import { verifyCommits } from '../faults/verify.ts';
import { long } from '../support/long.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

const patience = 600_000;
/** Two rounds of two slots. */
const rounds = tinyRecipe({
  schedule: { total: { steps: 200 }, warmup: { steps: 20 } },
  phases: [{ name: 'pretrain', batch: 32, replicas: { number: 2, steps: 50 } }],
});
/** What becomes of an evaluation under several devices the run of the first test shows. */
const unevaluated = { ...rounds, data: { train: 'data/emoji/train' } };
let site: Site;
let light: WorkerProcess;
let both: WorkerProcess;
let expected: string;

const worker = (name: string, args: readonly string[], threads: string) =>
  startWorkerProcess({
    folder: join(site.folder, name),
    // Bytes depend on the threads that a trainer has; two trainers of two threads have one each.
    environment: { ...site.services.environment, TF_NUM_INTRAOP_THREADS: threads },
    args,
  });
const shaOf = async (run: Run) => (await run.result()).phases[0]!.checkpoint.sha256;
const lockOf = (i: number) => join(site.folder, 'both', i === 0 ? 'device.lock' : `device-${i}.lock`);
const trainerOf = (i: number): ProcessName => JSON.parse(readFileSync(`${lockOf(i)}.trainer`, 'utf8'));
const status = async (run: string) => formatStatus(await readRunStatus(site.client, site.store, run));
/**
 * Brings both trainers to a halt in the lanes of the round that ends with `to`, each after its first step: neither has ended when
 * the other has begun. What `siglip2 status` shows then, and what lets them go on.
 */
async function haltBoth(run: string, to: number) {
  const trainers = await Promise.all(
    [0, 1].map(async (i) => {
      const isFirst = (line: Readonly<Record<string, unknown>>) =>
        line.msg === 'first step of a lane' && line.run === run && line.step === to && line.on === `cpu-${i}`;
      await until(() => both.lines.some(isFirst));
      const trainer = trainerOf(i);
      process.kill(trainer.pid, 'SIGSTOP');
      return trainer;
    }),
  );
  let text = '';
  await until(async () => {
    text = await status(run);
    return ['cpu-0', 'cpu-1'].every((device) => new RegExp(`slot \\d: .*@\\S+ ${device}, `).test(text));
  });
  return { trainers, text, goOn: (i: number) => process.kill(trainers[i]!.pid, 'SIGCONT') };
}

beforeAll(async () => {
  site = await startSite({ worker: false });
  light = worker('light', ['--queues', 'siglip2'], '1');
  const single = worker('single', ['--queues', 'siglip2-gpu'], '1');
  expected = await shaOf(await site.start('single', unevaluated));
  single.kill('SIGTERM');
  await single.ended;
  both = worker('both', ['--queues', 'siglip2-gpu', '--devices', 'cpu:2', '--exit-when-idle', '1h'], '2');
}, patience);
afterAll(async () => {
  both?.kill('SIGKILL');
  light?.kill('SIGKILL');
  await site?.stop();
}, patience);

it(
  'two trainers of one worker train two slots of a round at once, and end in the bytes of one',
  async () => {
    const run = await site.start('pair', rounds);
    const { text, goOn } = await haltBoth('pair', 100);
    expect(text).toMatch(/steps 0 to 100: 2 slots, 0 in/);
    for (const i of [0, 1]) goOn(i);
    expect(await shaOf(run)).toBe(expected);
    const lanes = both.lines.filter(({ msg }) => msg === 'first step of a lane');
    expect(new Set(lanes.map(({ on }) => on))).toEqual(new Set(['cpu-0', 'cpu-1']));
    expect(lanes).toHaveLength(4);
    // A slot comes back to the trainer that had it.
    const trained = lanes.map(({ slot, on }) => `${slot} ${on}`);
    expect(new Set(trained).size).toBe(2);
    const first = both.lines.filter(({ msg }) => msg === 'first step of this worker');
    expect(new Set(first.map(({ on }) => on))).toEqual(new Set(['cpu-0', 'cpu-1']));
  },
  patience,
);

it.runIf(long)(
  'a trainer that is killed costs its slot alone',
  async () => {
    const run = await site.start('killed', unevaluated);
    const { trainers, goOn } = await haltBoth('killed', 200);
    process.kill(trainers[1]!.pid, 'SIGKILL');
    goOn(0);
    expect(await shaOf(run)).toBe(expected);
    expect(trainerOf(0)).toEqual(trainers[0]);
    expect(isAlive(trainers[0]!)).toBe(true);
    const failed = both.lines.filter(({ msg }) => msg === 'activity failed');
    expect(failed).toMatchObject([{ activity: 'trainReplica', attempt: 1, on: 'cpu-1' }]);
  },
  patience,
);

it(
  'SIGTERM ends both with a checkpoint, and both locks are held until then',
  async () => {
    const long = tinyRecipe({
      schedule: { total: { steps: 100_000 }, warmup: { steps: 20 } },
      checkpoint: { every: { steps: 50_000 }, shard: { steps: 100_000 } },
      data: unevaluated.data,
    });
    await Promise.all(['left', 'right'].map((run) => site.start(run, long)));
    const said = new Map<string, string>();
    await until(async () => {
      for (const run of ['left', 'right']) said.set(run, await status(run));
      return [...said.values()].every((text) => /trainShard: on cpu-\d/.test(text) && /step [1-9]\d*/.test(text));
    });
    expect(new Set([...said.values()].map((text) => /on (cpu-\d)/.exec(text)![1]))).toEqual(
      new Set(['cpu-0', 'cpu-1']),
    );
    expect(await Promise.all([0, 1].map((i) => tryLock(lockOf(i))))).toEqual([null, null]);
    const trainers = [trainerOf(0), trainerOf(1)];
    both.kill('SIGTERM');
    expect(await both.ended, both.said()).toEqual({ code: 20, signal: null });
    expect(both.lines.find(({ msg }) => msg === 'worker ended')).toMatchObject({ why: 'SIGTERM', exitCode: 20 });
    for (const run of ['left', 'right']) {
      const step = await newestStep(site, run);
      expect(step).toBeGreaterThan(0);
      expect(step).toBeLessThan(50_000);
      await verifyCommits(site.store, run);
    }
    expect(trainers.map(isAlive)).toEqual([false, false]);
    for (const i of [0, 1]) await (await tryLock(lockOf(i)))!.release();
  },
  patience,
);
