import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Services } from '../../infra/services/start.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { tinySettings } from '../train/settings.ts';
import type { BenchOptions } from './arguments.ts';
import { type SlowPlace, slowPlace } from './link-namespaces.ts';
import type { BenchRecord, Report } from './record.ts';
import { mergingWorker, startPhase } from './rounds-phase.ts';
import { eachWithServices, type Helper, startRelay, startReplica, withClients } from './rounds-site.ts';
import { type SeenSlot, seenSlots } from './seen-slots.ts';

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
  await eachWithServices(name, only, async (variant, folder, services) => {
    const afterKill = await measure(folder, services, variant.endsWith('newcomer'));
    const ms = 1000 * Object.values(afterKill).reduce((a, b) => a + b, 0);
    report({ name, variant, ms_min: ms, ms_median: ms, runs: 1, afterKill });
  });
}

function measure(folder: string, services: Services, isNew: boolean): Promise<NonNullable<BenchRecord['afterKill']>> {
  const places: SlowPlace[] = [];
  const children: Helper[] = [];
  const begin = async (place: SlowPlace, i: number, stepMs: number) => {
    const child = await startReplica(services, join(folder, `worker-${i}`), stepMs, place);
    children.push(child);
    return child;
  };
  return withClients(services, async ({ store, client, native }) => {
    try {
      for (let i = 0; i < (isNew ? 3 : 2); i++) {
        places.push(await slowPlace(i));
        children.push(await startRelay(services, places[i]!));
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
      for (const place of places) await place.slow(megabits);
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
      for (const place of places) await place.remove();
    }
  });
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
