import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { type Services, startServices } from '../../infra/services/start.ts';
import { createProgress } from '../../infra/setup/progress.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import { tinySettings } from '../train/settings.ts';
import type { BenchOptions } from './arguments.ts';
import { LineProcess } from './line-process.ts';
import { type SlowPlace, slowPlace } from './link-namespaces.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { BenchRecord, Report } from './record.ts';
import { mergingWorker, startPhase } from './rounds-phase.ts';
import { type SeenSlot, seenSlots } from './seen-slots.ts';
import { withFolder } from './temporary-folder.ts';

const name = 'rounds/kill';
const megabits = 100;
const patienceMs = 400_000;

/** 100.3 million parameters, of which a table of tokens is nearly nothing: a state of 1.2 GB. */
const settings: PhaseSettings = {
  ...tinySettings,
  model: {
    vision: { width: 768, depth: 7, mlp: 3072, heads: 12, patch: 16, resolution: 64 },
    text: { width: 768, depth: 5, mlp: 3072, heads: 12, length: 16, vocabulary: 64 },
  },
};
const replicas = replicasSchema.parse({ number: 2, steps: 100, exchange: 'int8', moments: 'reset' });
/** Of a worker that soon has done its slot, and of those that are in the middle of one. */
const [quickMs, slowMs] = [100, 1000];

/**
 * A worker is killed with kill -9 in the middle of its lane, and another takes the slot over: one that has trained in this round
 * and waits for work, or one that has nothing and is started at the kill. Each has a link of its own of 100 Mbit/s each way.
 * Parts are from heartbeat to heartbeat, which are a second apart. It ends at the first step, and nothing is merged.
 */
export async function benchRoundsKill({ only }: BenchOptions, report: Report): Promise<void> {
  for (const variant of benchmarks[name]) {
    if (!isWanted(only, name, variant)) continue;
    Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
    await withFolder(async (folder) => {
      const services = await startServices({ folder, ports: 'free', progress: createProgress() });
      try {
        const afterKill = await measure(folder, services, variant.endsWith('newcomer'));
        const ms = 1000 * Object.values(afterKill).reduce((a, b) => a + b, 0);
        report({ name, variant, ms_min: ms, ms_median: ms, runs: 1, afterKill });
      } finally {
        await services.stop();
      }
    });
  }
}

async function measure(
  folder: string,
  services: Services,
  isNew: boolean,
): Promise<NonNullable<BenchRecord['afterKill']>> {
  const { address } = services.temporal!;
  const portOf = (url: string) => url.split(':').at(-1)!;
  const ports = [portOf(services.s3!.endpoint!), portOf(address)] as const;
  const store = new S3ObjectStore(services.s3!);
  const places: SlowPlace[] = [];
  const children: LineProcess<unknown, unknown>[] = [];
  const [connection, native] = [await Connection.connect({ address }), await NativeConnection.connect({ address })];
  const client = new Client({ connection });
  const begin = async (place: SlowPlace, i: number, stepMs: number) => {
    const own = join(folder, `worker-${i}`);
    mkdirSync(own);
    const [node, args] = ourProcess('replica-process.ts', own, `${stepMs}`);
    const [enter, ...within] = place.enter;
    const child = await LineProcess.start<unknown, unknown>('worker', enter!, [...within, node, ...args], {
      ...process.env,
      ...services.environment,
      AWS_ENDPOINT_URL: `http://${place.host}:${ports[0]}`,
      TEMPORAL_ADDRESS: `${place.host}:${ports[1]}`,
    });
    children.push(child);
    return child;
  };
  try {
    for (let i = 0; i < (isNew ? 3 : 2); i++) {
      places.push(slowPlace(i));
      children.push(await LineProcess.start('relay', ...ourProcess('relay-process.ts', places[i]!.host, ...ports)));
    }
    const merger = await mergingWorker(native, store, join(folder, 'merger'));
    const running = merger.run();
    const handle = await startPhase(client, store, { settings, replicas, rounds: 1 });
    const look = () => seenSlots(client, handle.workflowId);
    // Who comes first has what a round begins with when the second slot is taken, so that is known to be the victim's.
    await begin(places[0]!, 0, isNew ? slowMs : quickMs);
    await until(look, (slots) => slots.some(({ done }) => done > 0));
    const victim = await begin(places[1]!, 1, slowMs);
    // In the middle, and without the quick one, which has handed in and waits.
    const slots = await until(look, (all) => {
      const two = all.filter(({ done }) => done > 0);
      return isNew ? two.length === 2 : all.length === 1 && two.length === 1;
    });
    const { slot, done: lost } = slots.toSorted((a, b) => a.done - b.done)[0]!;
    if (lost === 0) throw new RunnerError('TrainerStuck', `slot ${slot} had made no step when its worker was killed`);
    for (const place of places) place.slow(megabits);
    await delay(2000);
    await victim.kill();
    const moments = [performance.now()];
    if (isNew) void begin(places[2]!, 2, slowMs).catch(() => {});
    const of = (all: readonly SeenSlot[]) => all.find((one) => one.slot === slot || one.attempt > 1);
    for (const is of [
      (one: SeenSlot) => one.attempt > 1,
      // What was heard of the attempt before stays until this one is heard of.
      (one: SeenSlot) => one.attempt > 1 && one.isStarted && one.done === 0,
      (one: SeenSlot) => one.attempt > 1 && (one.doing === 'starting' || one.done > 0),
      (one: SeenSlot) => one.attempt > 1 && one.done > 0,
    ]) {
      await until(look, (all) => {
        const one = of(all);
        return one !== undefined && is(one);
      });
      moments.push(performance.now());
    }
    await handle.terminate('the benchmark is over');
    merger.shutdown();
    await running;
    const [noticed, taken, fetched, begun] = moments.slice(1).map((at, i) => (at - moments[i]!) / 1000);
    // A step takes its time; the rest is the trainer's.
    const stepped = (isNew ? slowMs : quickMs) / 1000;
    return { noticed: noticed!, taken: taken!, fetched: fetched!, loaded: Math.max(0, begun! - stepped), stepped };
  } finally {
    for (const child of children) await child.close();
    for (const place of places) place.remove();
    await connection.close();
    await native.close();
    store.close();
  }
}

async function until(
  look: () => Promise<SeenSlot[]>,
  what: (slots: readonly SeenSlot[]) => boolean,
): Promise<readonly SeenSlot[]> {
  let slots: SeenSlot[] = [];
  for (const end = performance.now() + patienceMs; performance.now() < end; await delay(50)) {
    slots = await look();
    if (what(slots)) return slots;
  }
  throw new RunnerError(
    'TrainerStuck',
    `the round did not go on within ${patienceMs / 1000} s; the last that was heard: ${JSON.stringify(slots)}`,
  );
}
