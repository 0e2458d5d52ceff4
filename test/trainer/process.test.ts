import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { isAlive } from '../../src/runtime/services-state.ts';
import { createTrainerProcess, type TrainerEvents, type TrainerProcess } from '../../src/trainer/process.ts';
import type { Snapshot, TrainJob } from '../../src/trainer/protocol.ts';
import { tinySettings } from '../train/settings.ts';

const script = fileURLToPath(new URL('fake-trainer.mjs', import.meta.url));
/** Keeps what is warned of. */
const hearing = () => {
  const warned: string[] = [];
  return { warned, info() {}, warn: (_: object, line: string) => void warned.push(line) };
};
let log: ReturnType<typeof hearing>;
let folder: string;
let trainers: TrainerProcess[];
const lockFile = () => join(folder, 'state', 'cpu.lock');
const trainerOf = () => JSON.parse(readFileSync(`${lockFile()}.trainer`, 'utf8'));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trainer-'));
  trainers = [];
  log = hearing();
});
afterEach(async () => {
  for (const trainer of trainers) await trainer.close();
  rmSync(folder, { recursive: true });
});

function start(fault: object = {}, limits: object = {}): TrainerProcess {
  const env = { ...process.env, FAKE_FAULT: JSON.stringify(fault) };
  const trainer = createTrainerProcess({ lockFile: lockFile(), log, script, env, ...limits });
  trainers.push(trainer);
  return trainer;
}

const job = (toStep: number, from: TrainJob['from'] = null): TrainJob => ({
  kind: 'train',
  settings: tinySettings,
  indexFile: '',
  from,
  begins: { step: 0, examples: 0 },
  skip: [],
  toStep,
  checkpointEvery: 10,
  snapshotFolder: join(folder, 'snapshots'),
});

/** Kills the trainer of a process between two jobs, and returns when its worker has seen the end of it. */
async function kill(trainer: TrainerProcess, { sha256 }: Snapshot): Promise<void> {
  expect(trainer.holds(sha256)).toBe(true);
  process.kill(trainerOf().pid, 'SIGKILL');
  await expect.poll(() => trainer.holds(sha256)).toBe(false);
}

const byKill = 'the trainer process ended by SIGKILL (out of memory, or killed)';

/** Runs a module in a process of its own until it says something. */
async function runModule(code: string) {
  const file = join(folder, `module-${Math.random()}.mjs`);
  writeFileSync(file, code);
  const child = fork(file, [lockFile()], { execArgv: ['--import', 'tsx'], stdio: 'inherit' });
  const [said] = await once(child, 'message');
  return { child, said };
}

async function train(
  trainer: TrainerProcess,
  what: TrainJob,
  signal?: AbortSignal,
  events: TrainerEvents = {},
): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = [];
  await trainer.run(what, { ...events, snapshot: (snapshot) => snapshots.push(snapshot) }, signal);
  return snapshots;
}

describe('the trainer process', () => {
  it('is another one after it failed for a reason that nobody knows', async () => {
    const trainer = start({ unknown: { step: 5, once: join(folder, 'once') } });
    await expect(train(trainer, job(20))).rejects.toMatchObject({ code: 'TrainerCrashed', message: 'who knows' });
    const { pid, start: began } = trainerOf();
    expect(isAlive({ pid, start: began })).toBe(false);
    expect((await train(trainer, job(20))).map(({ step }) => step)).toEqual([10, 20]);
    expect(trainerOf().pid).not.toBe(pid);
  });

  it('goes on from the state that it holds, though its files are gone', async () => {
    const trainer = start();
    const first = await train(trainer, job(20));
    expect(first.map(({ step }) => step)).toEqual([10, 20]);
    const { sha256, step, examples } = first[1]!;
    expect(trainer.holds(sha256, tinySettings)).toBe(true);
    expect(trainer.holds(first[0]!.sha256, tinySettings)).toBe(false);
    // Another phase's graph has to be written.
    expect(trainer.holds(sha256, { ...tinySettings, phase: 'branch' })).toBe(false);
    const pid = trainerOf().pid;
    const from = { folder: join(folder, 'gone'), sha256, step, examples };
    const second = await train(trainer, job(30, from));
    const whole = await train(trainer, job(30));
    expect(second.at(-1)!.sha256).toBe(whole.at(-1)!.sha256);
    expect(trainerOf().pid).toBe(pid);
  });

  it('that crashes is reported with its last words, and started again for the next job', async () => {
    const trainer = start({ crash: { step: 7, once: join(folder, 'crashed') } });
    await expect(train(trainer, job(20))).rejects.toMatchObject({
      code: 'TrainerCrashed',
      message: expect.stringContaining('SIGKILL'),
    });
    expect((await train(trainer, job(20))).at(-1)!.step).toBe(20);
  });

  it("that dies between two jobs is told of once, in the log of the job that comes next and in the worker's", async () => {
    const trainer = start();
    const [earlier, next, asks, later] = [hearing(), hearing(), hearing(), hearing()];
    const [before] = await train(trainer, job(10), undefined, { log: earlier });
    await kill(trainer, before!);
    const [after] = await train(trainer, job(10), undefined, { log: next });
    expect(after!.sha256).toBe(before!.sha256);
    await train(trainer, job(10), undefined, { log: later });
    expect([earlier, next, later, log].map(({ warned }) => warned)).toEqual([[], [byKill], [], [byKill]]);
    // Before its job an attempt may ask what device there is: that one hears it, and nobody whose job is over.
    await kill(trainer, after!);
    expect(await trainer.device(asks)).toBe('cpu');
    await train(trainer, job(10), undefined, { log: asks });
    expect([next, later, asks].map(({ warned }) => warned)).toEqual([[byKill], [], [byKill]]);
    expect(log.warned).toEqual([byKill, byKill]);
  });

  it('that dies in a job is told of by what the job fails with, and by no line beside it', async () => {
    const trainer = start({ crash: { step: 7, once: join(folder, 'crashed') } });
    await expect(train(trainer, job(20), undefined, { log })).rejects.toThrow(byKill);
    await train(trainer, job(20), undefined, { log });
    expect(log.warned).toEqual([]);
  });

  it('that this process has ended is not told of as one that died', async () => {
    const unknown = start({ unknown: { step: 5, once: join(folder, 'once') } });
    await expect(train(unknown, job(20))).rejects.toThrow('who knows');
    await train(unknown, job(20));
    // Another number of threads is another process.
    await unknown.run({ ...job(20), threads: 3 });
    await unknown.close();
    const stuck = start({ hang: { step: 3, once: join(folder, 'hung') } }, { silentForMs: 500 });
    await expect(train(stuck, job(20))).rejects.toMatchObject({ code: 'TrainerStuck' });
    await expect.poll(() => isAlive(trainerOf())).toBe(false);
    // Its end may come to be known in the next job, which fails then.
    await train(stuck, job(20)).catch(() => {});
    expect(log.warned).toEqual([]);
  });

  it('that dies while it prepares, which nobody waits for, is told of in the job that follows', async () => {
    const trainer = start({ crashPreparing: { once: join(folder, 'crashed') } });
    const prepare = trainer.run({ kind: 'prepare' } as never);
    const next = hearing();
    const training = train(trainer, job(10), undefined, { log: next });
    await expect(prepare).rejects.toMatchObject({ code: 'TrainerCrashed' });
    expect((await training).at(-1)!.step).toBe(10);
    expect(next.warned).toEqual([byKill]);
    expect(log.warned).toEqual([byKill]);
  });

  it('is not asked to go on from a state that was lost with a crash', async () => {
    const trainer = start({ crash: { step: 15, once: join(folder, 'crashed') } });
    const { sha256, step, examples } = (await train(trainer, job(10)))[0]!;
    const from = { folder: join(folder, 'gone'), sha256, step, examples };
    await expect(train(trainer, job(20, from))).rejects.toMatchObject({ code: 'TrainerCrashed' });
    expect(trainer.holds(sha256, tinySettings)).toBe(false);
    await expect(train(trainer, job(20, from))).rejects.toThrow(/lost between two shards/);
  });

  it('that says nothing is ended as stuck', async () => {
    const trainer = start({ hang: { step: 3 } }, { silentForMs: 300 });
    const run = train(trainer, job(20));
    await expect(run).rejects.toMatchObject({ code: 'TrainerStuck' });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(isAlive(trainerOf())).toBe(false);
  });

  it('stops when asked to, with a snapshot of the step that it was at', async () => {
    const trainer = start({ stepMs: 10 });
    const stop = new AbortController();
    const snapshots = await train(trainer, job(1000), stop.signal, { progress: () => stop.abort() });
    const last = snapshots.at(-1)!;
    expect(last.step).toBeGreaterThan(1);
    expect(last.step).toBeLessThan(1000);
    expect(trainer.holds(last.sha256, tinySettings)).toBe(true);
  });

  it('that does not stop within its time is ended', async () => {
    const trainer = start({ hang: { step: 3 } }, { stopWithinMs: 200 });
    const stop = new AbortController();
    // Step 2 is its last: from there on it hangs, however long a busy machine took to get there.
    const progress = ({ step }: { step: number }) => step === 2 && stop.abort();
    await expect(train(trainer, job(20), stop.signal, { progress })).rejects.toThrow(/did not stop/);
  });

  it('passes on what the job failed with, and lives', async () => {
    const trainer = start({ nonFinite: { step: 3 } });
    await expect(train(trainer, job(20))).rejects.toMatchObject({ code: 'NonFinite', details: { step: 3 } });
    expect(isAlive(trainerOf())).toBe(true);
  });

  // Linux alone shows the environment of another process.
  it.skipIf(!existsSync('/proc/self/environ'))(
    'has of the environment what it needs, and none of the keys',
    async () => {
      const secret = 'a-word-that-it-need-not-know';
      const keys = [
        'SIGLIP2_PAYLOAD_KEY',
        'TEMPORAL_API_KEY',
        'TEMPORAL_TLS_CLIENT_KEY_DATA',
        'NPM_TOKEN',
        'SIGLIP2_METRICS',
      ];
      for (const name of keys) vi.stubEnv(name, secret);
      vi.stubEnv('AWS_REGION', 'of-its-data');
      vi.stubEnv('TF_NUM_INTRAOP_THREADS', '3');
      try {
        const trainer = createTrainerProcess({ lockFile: lockFile(), log, script });
        trainers.push(trainer);
        const environment = async (threads?: number) => {
          await trainer.run({ ...job(1), ...(threads && { threads }) });
          return readFileSync(`/proc/${trainerOf().pid}/environ`, 'utf8').split('\0');
        };
        const found = await environment();
        expect(found.filter((line) => line.includes(secret))).toEqual([]);
        expect(found).toEqual(
          expect.arrayContaining([`PATH=${process.env.PATH}`, 'AWS_REGION=of-its-data', 'TF_NUM_INTRAOP_THREADS=3']),
        );
        // Threads are a matter of the phase: another number is another process, the same number the same.
        const pid = trainerOf().pid;
        expect(await environment(3)).toEqual(found);
        expect(trainerOf().pid).toBe(pid);
        expect(await environment(7)).toContain('TF_NUM_INTRAOP_THREADS=7');
        expect(trainerOf().pid).not.toBe(pid);
        expect(isAlive({ ...trainerOf(), pid })).toBe(false);
      } finally {
        vi.unstubAllEnvs();
      }
    },
  );

  it('that can not start says why, and one that never gets ready is ended', async () => {
    await expect(train(start({ broken: true }), job(1))).rejects.toMatchObject({ code: 'SetupMissing' });
    rmSync(lockFile());
    await expect(train(start({ mute: true }, { readyWithinMs: 200 }), job(1))).rejects.toThrow(/not ready after 0.2 s/);
  });
});

describe('the lock of a device', () => {
  it('keeps a second worker out while the first lives, and is gone after it closed', async () => {
    const here = start();
    await here.run(job(1));
    const code = `
      import { lockDevice } from ${JSON.stringify(new URL('../../src/trainer/lock.ts', import.meta.url).href)};
      await lockDevice(process.argv[2]).then(() => process.send('mine'), (error) => process.send([error.code, error.retryable, error.message].join(' ')));
      process.disconnect();`;
    const { said: other } = await runModule(code);
    // It may be one that is ending: Temporal gives the shard to it again.
    expect(other).toMatch(new RegExp(`^DeviceBusy true the device is in use by the worker with pid ${process.pid}`));
    await here.close();
    expect(existsSync(lockFile())).toBe(false);
    expect((await runModule(code)).said).toBe('mine');
  });

  it('of a killed worker passes on, and the trainer that it left is ended first', async () => {
    const worker = `
      import { createTrainerProcess } from ${JSON.stringify(new URL('../../src/trainer/process.ts', import.meta.url).href)};
      process.on('message', () => {});
      const log = { info() {}, warn() {} };
      const trainer = createTrainerProcess({ lockFile: process.argv[2], log, script: ${JSON.stringify(script)} });
      await trainer.run({ kind: 'evaluate' });
      process.send('running');`;
    const { child: killed } = await runModule(worker);
    // As if the trainer were in a long step: it does not see that its channel was closed.
    const stale = trainerOf();
    process.kill(stale.pid, 'SIGSTOP');
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    expect(isAlive(stale)).toBe(true);
    await start().run(job(1));
    expect(isAlive(stale)).toBe(false);
    expect(JSON.parse(readFileSync(lockFile(), 'utf8')).pid).toBe(process.pid);
  });
});
