import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Services } from '../../infra/services/start.ts';
import { listCommits } from '../../src/checkpoint/commits.ts';
import { roundWays } from '../../src/commands/rounds-ways.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import { type Link, packetBytes } from '../../src/rounds/link.ts';
import { smallAsks, workPerByte, workPerNumber } from '../../src/rounds/measured.ts';
import { numbersIn } from '../../src/rounds/parameters.ts';
import { type RoundTime, roundTime } from '../../src/rounds/time.ts';
import { exchangedOf } from '../../src/train/exchanged.ts';
import { tinySettings } from '../train/settings.ts';
import type { BenchOptions } from './arguments.ts';
import { type SlowPlace, slowPlace } from './link-namespaces.ts';
import type { Report } from './record.ts';
import { benchPhase, mergingWorker, startPhase } from './rounds-phase.ts';
import { eachWithServices, type Helper, startRelay, startReplica, withClients } from './rounds-site.ts';

const name = 'rounds/link';
/** On the wire, with the heads of Ethernet, IP and TCP. */
const frameBytes = 1514;
const [workers, steps, stepMs, rounds] = [2, 20, 1000, 3];

/** 20.3 million parameters, of which a table of tokens is nearly nothing. */
const large: PhaseSettings['model'] = {
  vision: { width: 384, depth: 5, mlp: 1536, heads: 6, patch: 16, resolution: 64 },
  text: { width: 384, depth: 5, mlp: 1536, heads: 6, length: 16, vocabulary: 64 },
};
/** That of the emoji recipe, with as many tokens as its data have: 4.3 million parameters, most of them the table. */
const emoji: PhaseSettings['model'] = {
  vision: { width: 128, depth: 4, mlp: 512, heads: 4, patch: 8, resolution: 32 },
  text: { width: 128, depth: 2, mlp: 512, heads: 4, length: 16, vocabulary: 24_000 },
};
const replicas = replicasSchema.parse({ number: workers, steps, exchange: 'int8', moments: 'reset' });

/**
 * Workers of which each has a link of its own, of so many Mbit/s each way, with real files of a round, a real store and Temporal, and
 * steps that only take their time. The merger is beside the store. Links are slow from the end of the first round on, in which all
 * fetch the checkpoint; it does not count.
 */
export async function benchRoundsLink({ only }: BenchOptions, report: Report): Promise<void> {
  await eachWithServices(name, only, async (variant, folder, services) => {
    const link = linkOf(variant);
    const settings = { ...tinySettings, model: variant.startsWith('emoji') ? emoji : large };
    const seconds = await measure(folder, services, settings, link);
    const planned = planOf(settings, link);
    const ms = 1000 * seconds;
    const busy = { measured: (steps * stepMs) / ms, planned: planned.utilisation, plannedMs: 1000 * planned.wall };
    report({ name, variant, ms_min: ms, ms_median: ms, runs: rounds - 1, busy });
  });
}

/** Seconds of a round. */
function measure(folder: string, services: Services, settings: PhaseSettings, link: Link): Promise<number> {
  const places: SlowPlace[] = [];
  const children: Helper[] = [];
  return withClients(services, async ({ store, client, native }) => {
    try {
      for (let i = 0; i < workers; i++) places.push(await slowPlace(i, link));
      // The worker connects when it has loaded, long after the relay.
      const started = places.flatMap((place, i) => [
        startRelay(services, place),
        startReplica(services, join(folder, `worker-${i}`), stepMs, place),
      ]);
      children.push(...(await Promise.all(started)));
      const worker = await mergingWorker(native, store, join(folder, 'merger'));
      const running = worker.run();
      const handle = await startPhase(client, store, { settings, replicas, rounds });
      const firstRound = async () => (await listCommits(store, benchPhase, 0)).length > 1;
      while (!(await firstRound())) await delay(200);
      for (const place of places) await place.slow(link.bits / 1e6);
      await handle.result();
      worker.shutdown();
      await running;
      const commits = await listCommits(store, benchPhase, 0);
      const times = commits.filter(({ step }) => step > 0).map(({ committed }) => Date.parse(committed));
      return (Math.max(...times) - Math.min(...times)) / 1000 / (rounds - 1);
    } finally {
      for (const child of children) await child.close();
      for (const place of places) await place.remove();
    }
  });
}

/** `50-ms-20-mbit` is one with 50 ms there and back, and 1 % of packets lost each way; the others have neither. */
function linkOf(variant: string): Link {
  const said = (unit: string) => Number(new RegExp(`(\\d+)-${unit}`).exec(variant)?.[1] ?? 0);
  const latency = said('ms') / 1000;
  const congestion = variant.includes('bbr') ? 'bbr' : 'cubic';
  return { bits: 1e6 * said('mbit'), latency, loss: latency > 0 ? 0.01 : 0, congestion };
}

/** What `plan --link` says of such a round. */
function planOf(settings: PhaseSettings, link: Link): RoundTime {
  const { parameters, others } = exchangedOf(settings, replicas, { tensors: new Map() });
  return roundTime({
    ...{ parameters, others, besideMoments: others, exchange: replicas.exchange, workers, steps },
    ...{ outer: 4 * numbersIn(parameters), state: 4 * numbersIn(parameters), everyRow: new Set<string>() },
    ...{ examples: settings.batches.batch, stepSeconds: stepMs / 1000, tokens: 1, dataBytes: 0 },
    ...{ work: workPerNumber, passes: workPerByte, asks: smallAsks },
    // A bucket counts whole frames.
    link: { ...link, bits: (link.bits * packetBytes) / frameBytes },
    mergerLink: { bits: 1e10, latency: 0, loss: 0 },
    ...roundWays,
  });
}
