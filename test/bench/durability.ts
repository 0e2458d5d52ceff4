import { join } from 'node:path';
import type { Attempt, Dependencies } from '../../activities/dependencies.ts';
import { plan } from '../../activities/plan.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import type { Recipe } from '../../src/recipe/schema.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import type { BenchOptions } from './arguments.ts';
import { anyWanted } from './names.ts';
import type { Report } from './record.ts';
import { readEmojiRecipe } from './shapes.ts';
import type { Site } from './site.ts';
import { compareTurns, spread } from './statistics.ts';

const silent = { info() {}, warn() {} };

/**
 * What checkpoints cost training at the default, `"every": "auto"`: the first shard finds out how many steps lie between
 * two of them. Then milliseconds of a step over a window of steps with one checkpoint in the middle, snapshot and
 * upload, and without, in turns; the difference is spread over that many steps. On real pictures, by the activity that
 * runs use, to a store on the same machine, which takes its share of the cores.
 */
export async function benchDurability({ runs = 3, only }: BenchOptions, site: Site, report: Report): Promise<void> {
  const emoji = readEmojiRecipe();
  const s16 = {
    ...emoji,
    model: {
      ...emoji.model,
      vision: { size: 'S', patch: 16, resolution: 256 },
      text: { ...emoji.model.text, size: 'S' },
    },
    phases: [{ ...emoji.phases[0]!, batch: 8 }],
  };
  // Windows in which an upload ends well before the end.
  for (const [name, recipe, window] of [
    ['durability/emoji', emoji, 100],
    ['durability/s16', s16, 30],
  ] as const)
    if (anyWanted(only, name)) await measure(name, recipe as Recipe, window, runs, site, report);
}

async function measure(
  name: string,
  recipe: Recipe,
  window: number,
  runs: number,
  site: Site,
  report: Report,
): Promise<void> {
  const trainer = createTrainerProcess({ lockFile: join(site.folder, 'bench.lock'), log: silent, env: site.env });
  const seen: { step: number; at: number }[] = [];
  const timed: TrainerProcess = {
    ...trainer,
    run(job, events, signal) {
      const progress: NonNullable<typeof events>['progress'] = (told) => {
        seen.push({ step: told.step, at: performance.now() });
        events?.progress?.(told);
      };
      return trainer.run(job, { ...events, progress }, signal);
    },
  };
  const deps: Dependencies = {
    store: site.store,
    trainer: timed,
    scratch: join(site.folder, 'bench'),
    log: silent,
    codeVersion: 'bench',
  };
  let attempts = 0;
  const attempt = (): Attempt => {
    return { id: `bench-${++attempts}`, number: 1, signal: new AbortController().signal, heartbeat() {} };
  };
  try {
    const long = {
      ...recipe,
      checkpoint: {},
      schedule: { ...recipe.schedule, total: { steps: 1_000_000 }, warmup: { steps: 10 } },
    };
    const planned = await plan(deps, { run: name.replace('/', '-'), recipe: long }, attempt());
    const phase = planned.phases[0]!;
    /** Milliseconds of a step, start and end of the shard aside. */
    const train = async (from: CheckpointRef | null, toStep: number, checkpointEvery: number | 'auto') => {
      seen.length = 0;
      const shard: PhasePlan = { ...phase, checkpointEvery, shardSteps: toStep };
      const { checkpoint, pace } = await trainShard(
        deps,
        { plan: shard, revision: 0, parent: null, from, toStep },
        attempt(),
      );
      const inside = seen.filter(({ step }) => step < toStep);
      const [first, last] = [inside[0]!, inside.at(-1)!];
      return { checkpoint, pace, ms: (last.at - first.at) / (last.step - first.step) };
    };
    // Tracing, compilation, caches; ends half way, so that each window has a multiple of its length in its middle.
    let { checkpoint, pace } = await train(null, 1.5 * window, 'auto');
    const every = pace?.checkpointEvery;
    if (every === undefined) throw new Error(`no checkpoint was measured within ${1.5 * window} steps`);
    const times = { with: [] as number[], without: [] as number[] };
    for (let run = 0; run < runs; run++)
      for (const variant of ['without', 'with'] as const) {
        const step = checkpoint.step + window;
        const done = await train(checkpoint, step, variant === 'with' ? window : 1e9);
        checkpoint = done.checkpoint;
        times[variant].push(done.ms);
      }
    const { manifest } = await readManifest(site.store, checkpoint);
    const bytes = manifest.state.reduce((sum, file) => sum + file.bytes, 0);
    const spreadOut = times.with.map((ms, i) => [times.without[i]! + ((ms - times.without[i]!) * window) / every]);
    const { ofMedians, pairs } = compareTurns(
      spreadOut,
      times.without.map((time) => [time]),
    );
    const images = (ms: number) => (1000 * phase.batch) / ms;
    for (const variant of ['without', 'with'] as const) {
      const { min, median } = spread(times[variant]);
      const common = { name, variant, ms_min: min, ms_median: median, runs, images_per_second: images(median) };
      const against = `steps without checkpoints, one of ${(bytes / 1e6).toFixed(0)} MB every ${every} steps (here every ${window})`;
      report(
        variant === 'without'
          ? common
          : { ...common, bytes, against, ratio: ofMedians, ratio_low: pairs.min, ratio_high: pairs.max },
      );
    }
  } finally {
    await trainer.close();
  }
}
