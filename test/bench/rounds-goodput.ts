import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Services } from '../../infra/services/start.ts';
import { listCommits } from '../../src/checkpoint/commits.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import { type Replicas, replicasSchema } from '../../src/recipe/replicas.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tinySettings } from '../train/settings.ts';
import type { BenchOptions } from './arguments.ts';
import { type CommittedRound, goodputOf } from './goodput.ts';
import type { benchmarks } from './names.ts';
import type { Report } from './record.ts';
import { benchPhase, mergingWorker, startPhase } from './rounds-phase.ts';
import { eachWithServices, type Helper, startReplica, withClients } from './rounds-site.ts';
import { spread } from './statistics.ts';

const name = 'rounds/goodput';
/** A worker is lost in each stretch of so many seconds, which stand for ten minutes. */
const lostEvery = 200;
const workers = 8;
/** Times that a worker is lost. */
const losses = 6;

/** Seconds of a lane, which are its steps, and whether a round waits for all. */
const variants: Readonly<Record<(typeof benchmarks)[typeof name][number], { lane: number; quorum: boolean }>> = {
  undisturbed: { lane: lostEvery / 4, quorum: false },
  all: { lane: lostEvery, quorum: false },
  quorum: { lane: lostEvery, quorum: true },
  'quorum-half': { lane: lostEvery / 2, quorum: true },
  'quorum-quarter': { lane: lostEvery / 4, quorum: true },
};
/** A round does without one of its slots so many times its lane after its start, and twice what a round costs here beside its steps. */
const patience = { lanes: 1.05, seconds: 3 };

/**
 * Real workers over a real Temporal and a real store, whose trainers make the files of a tiny model and steps that only take
 * their time. In each stretch one of them is killed with kill -9, at some moment of it, whatever it is doing, and another that has
 * nothing is started in its place. Goodput is the share of the time of all workers that went into steps which a commit holds.
 * Time is a third of what it stands for, so that what a round and a kill cost beside steps weighs three times as much.
 */
export async function benchRoundsGoodput({ only }: BenchOptions, report: Report): Promise<void> {
  await eachWithServices(name, only, async (variant, folder, services) => {
    const { lane, quorum } = variants[variant];
    const replicas = replicasSchema.parse({
      ...{ number: workers, steps: lane, moments: 'reset' },
      ...(quorum && {
        quorum: workers - 1,
        deadline: { minutes: (patience.lanes * lane + patience.seconds) / 60 },
      }),
    });
    const kills = variant === 'undisturbed' ? 0 : losses;
    const rounds = variant === 'undisturbed' ? 3 : Math.ceil((losses * lostEvery) / lane) + 2;
    const found = await measure(folder, services, replicas, { rounds, kills });
    const seconds = found.commits.slice(1).map(({ at }, i) => at - found.commits[i]!.at);
    const { min, median } = spread(seconds.map((one) => 1000 * one));
    const goodput = { ...goodputOf(found.commits, workers, 1), kills: found.kills, rounds: seconds.length };
    report({ name, variant, ms_min: min, ms_median: median, runs: seconds.length, goodput });
  });
}

function measure(
  folder: string,
  services: Services,
  replicas: Replicas,
  { rounds, kills }: { readonly rounds: number; readonly kills: number },
): Promise<{ commits: CommittedRound[]; kills: number }> {
  const crew: Helper[] = [];
  let started = 0;
  const begin = () => startReplica(services, join(folder, `worker-${started++}`), 1000);
  let isOver = false;
  let killed = 0;
  return withClients(services, async ({ store, client, native }) => {
    const commitsOf = async () => (await listCommits(store, benchPhase, 0)).filter(({ step }) => step > 0);
    /** From the first commit on; the moments and whom they meet are the same in all variants. */
    const disturb = async () => {
      const random = randomStream(7, name);
      const first = Date.now();
      for (let i = 0; i < kills; i++) {
        const at = first + 1000 * lostEvery * (i + random.next());
        const victim = random.below(workers);
        while (Date.now() < at && !isOver) await delay(50);
        if (isOver) return;
        await crew[victim]!.kill();
        killed++;
        crew[victim] = await begin();
      }
    };
    try {
      crew.push(...(await Promise.all(Array.from({ length: workers }, begin))));
      const merger = await mergingWorker(native, store, join(folder, 'merger'));
      const running = merger.run();
      const handle = await startPhase(client, store, { settings: tinySettings, replicas, rounds });
      while ((await commitsOf()).length === 0) await delay(100);
      const disturbing = disturb();
      await handle.result();
      isOver = true;
      await disturbing;
      merger.shutdown();
      await running;
      const commits: CommittedRound[] = [];
      for (const commit of await commitsOf()) {
        const { round } = (await readManifest(store, commit)).manifest;
        const steps = round!.members.reduce((sum, member) => sum + member.steps, 0);
        commits.push({ at: Date.parse(commit.committed) / 1000, steps });
      }
      return { commits: commits.sort((a, b) => a.at - b.at), kills: killed };
    } finally {
      isOver = true;
      for (const child of crew) await child.close();
    }
  });
}
