import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive, type ProcessName } from '../../src/runtime/services-state.ts';
import { newestStep, type Run, type Site, startSite, tinyRecipe, until } from '../faults/harness.ts';
import { verifyCommits } from '../faults/verify.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

const patience = 600_000;
const total = 2000;
let site: Site;
let run: Run;
let light: WorkerProcess;
/** A query each second: the worker of workflows has something to do until it stops. */
let asking: NodeJS.Timeout;

const worker = (name: string, args: readonly string[], environment: Record<string, string> = {}) =>
  startWorkerProcess({
    folder: join(site.folder, name),
    environment: { ...site.services.environment, ...environment },
    args,
  });
/** What it says of its end; all that it said where it says nothing. */
const last = ({ lines }: WorkerProcess) => lines.find(({ msg }) => msg === 'worker ended') ?? { lines };
const has = ({ lines }: WorkerProcess, msg: string | RegExp) => lines.some((line) => String(line.msg).match(msg));
/** Of a worker by its name. */
const trainerOf = (name: string): ProcessName =>
  JSON.parse(readFileSync(join(site.folder, name, 'device.lock.trainer'), 'utf8'));

beforeAll(async () => {
  site = await startSite({ worker: false });
  light = worker('light', ['--queues', 'siglip2', '--exit-when-idle', '5s']);
  const recipe = tinyRecipe({
    schedule: { total: { steps: total }, warmup: { steps: 20 } },
    checkpoint: { every: { steps: 50 }, shard: { steps: 500 } },
  });
  run = await site.start('alone', recipe);
  asking = setInterval(() => void run.query('status').catch(() => {}), 1000);
}, patience);
afterAll(async () => {
  clearInterval(asking);
  light?.kill('SIGKILL');
  await site?.stop();
}, patience);

/** Step of the newest commit once training has been brought to a halt at `step` or later. */
async function haltAt(name: string, step: number): Promise<{ trainer: ProcessName; newest: number }> {
  await until(async () => (await newestStep(site, 'alone')) >= step);
  const trainer = trainerOf(name);
  process.kill(trainer.pid, 'SIGSTOP');
  let newest = -1;
  // What was on its way to the store arrives.
  await until(async () => {
    const before = newest;
    newest = await newestStep(site, 'alone');
    // Longer than a commit takes between two of its requests on a loaded machine.
    await delay(2000);
    return newest === before;
  });
  return { trainer, newest };
}

describe('workers of one queue each bring a run to its end, one after another', () => {
  it(
    'one that may take a single shard takes no second, and beats while it drains',
    async () => {
      const one = worker('one', ['--queues', 'siglip2-gpu', '--max-shards', '1']);
      const { trainer } = await haltAt('one', 50);
      // Longer than a heartbeat may be missing.
      await delay(9_500);
      process.kill(trainer.pid, 'SIGCONT');
      expect(await one.ended, one.said()).toEqual({ code: 0, signal: null });
      expect(last(one)).toMatchObject({ msg: 'worker ended', why: '--max-shards 1', exitCode: 0 });
      expect(await newestStep(site, 'alone')).toBe(500);
      const { seconds } = one.lines.find(({ msg }) => msg === 'first step of this worker') as {
        seconds: Record<string, number>;
      };
      const { total: sum, ...parts } = seconds;
      expect(Object.keys(parts)).toEqual(['load', 'connect', 'wait', 'trainer', 'fetch', 'compile', 'state', 'step']);
      expect(Object.values(parts).reduce((a, b) => a + b, 0)).toBeCloseTo(sum!, 1);
      expect(Math.min(...Object.values(parts))).toBeGreaterThanOrEqual(0);
      expect(isAlive(trainer)).toBe(false);
    },
    patience,
  );

  it(
    'one that is told by a file that its machine goes away commits what it has, and says so by 20',
    async () => {
      const file = join(site.folder, 'going-away');
      const spot = worker('spot', [
        '--queues',
        'siglip2-gpu',
        '--notice-file',
        file,
        '--notice-url',
        'http://127.0.0.1:1/',
      ]);
      const { trainer, newest } = await haltAt('spot', 600);
      writeFileSync(file, '');
      await until(() => has(spot, /^ending/));
      process.kill(trainer.pid, 'SIGCONT');
      expect(await spot.ended, spot.said()).toEqual({ code: 20, signal: null });
      const why = `notice of preemption from ${file}: the file is there`;
      expect(last(spot)).toMatchObject({ msg: 'worker ended', why, exitCode: 20 });
      expect(await newestStep(site, 'alone')).toBeGreaterThan(newest);
      // An address that does not answer is told of once, and ends nothing.
      expect(spot.lines.filter(({ source }) => source === 'http://127.0.0.1:1/')).toHaveLength(1);
    },
    patience,
  );

  it(
    'one whose commit does not fit into the grace period says so by 21, and the last commit stands',
    async () => {
      let preempted = 'FALSE';
      const metadata = createServer((_, response) => void response.end(preempted));
      await new Promise<void>((resolve) => metadata.listen(0, '127.0.0.1', resolve));
      const address = `http://127.0.0.1:${(metadata.address() as AddressInfo).port}/preempted?key=hidden`;
      const before = await newestStep(site, 'alone');
      const late = worker('late', ['--queues', 'siglip2-gpu', '--notice-url', address], { SIGLIP2_GRACE: '3' });
      const { trainer, newest } = await haltAt('late', before + 50);
      const store = site.process('s3')!.pid;
      process.kill(store, 'SIGSTOP');
      try {
        preempted = 'TRUE';
        await until(() => has(late, /^ending/));
        process.kill(trainer.pid, 'SIGCONT');
        expect(await late.ended, late.said()).toEqual({ code: 21, signal: null });
      } finally {
        process.kill(store, 'SIGCONT');
        metadata.close();
      }
      const why = `notice of preemption from ${address.split('?')[0]}: TRUE`;
      expect(last(late)).toMatchObject({ msg: 'worker ended', why, exitCode: 21, notCommitted: 1 });
      expect(await newestStep(site, 'alone')).toBe(newest);
      await until(() => !isAlive(trainer));
    },
    patience,
  );

  it(
    'one that ends when it is idle finishes the run first, as does the one of workflows; detectors end by their hours',
    async () => {
      // Longer than it takes until what the one before has left is given up and tried again.
      const rest = worker('rest', ['--queues', 'siglip2-gpu', '--exit-when-idle', '12s']);
      const detectors = worker('detectors', ['--queues', 'siglip2-annotate', '--max-hours', '0.001']);
      const { phases } = await run.result();
      expect(phases[0]!.checkpoint.step).toBe(total);
      clearInterval(asking);
      const ended = await Promise.all([rest.ended, light.ended, detectors.ended]);
      expect(ended.map(({ code }) => code)).toEqual([0, 0, 0]);
      expect([rest, light, detectors].map((one) => last(one))).toMatchObject([
        { why: 'idle for 12 s' },
        { why: 'idle for 5 s' },
        { why: '--max-hours 0.001' },
      ]);
      await verifyCommits(site.store, 'alone');
      const { events } = await site.client.workflow.getHandle('alone/pretrain').fetchHistory();
      const attempts = (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) =>
        started ? [started.attempt] : [],
      );
      // The one that was cut off alone was tried again; the one that drained beat all the time.
      expect(Math.max(...attempts.map(Number))).toBe(2);
      expect(attempts.filter((attempt) => Number(attempt) > 1)).toHaveLength(1);
    },
    patience,
  );
});
