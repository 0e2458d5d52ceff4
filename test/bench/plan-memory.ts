import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { collectTokenIds } from '../../src/data/example/token-ids.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { hostBytes } from '../../src/train/host-bytes.ts';
import { memoryPlan } from '../../src/train/memory-plan.ts';
import { oneArena } from '../../src/trainer/environment.ts';
import type { BenchOptions } from './arguments.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { PlanLoaderAnswer, PlanLoaderJob } from './plan-loader-process.ts';
import type { PlanProcessAnswer, PlanProcessJob } from './plan-process.ts';
import { type PlanShapeName, planSettings, planShapes } from './plan-shapes.ts';
import type { Report } from './record.ts';
import type { Site } from './site.ts';
import { withFolder } from './temporary-folder.ts';

/**
 * What a plan says of the memory of a trainer, and what one takes, beyond what Node and TensorFlow take by themselves: each
 * shape in a process of its own, with real batches, steps and snapshots.
 */
export async function benchPlanMemory(options: BenchOptions, site: Site, report: Report): Promise<void> {
  const index = await indexData(site.store, site.data.train);
  const vocabulary = await collectTokenIds(site.store, index, ['en']);
  const indexFile = join(site.folder, 'plan-index.json');
  await writeFile(indexFile, JSON.stringify(index.document));
  const data = { train: site.data.train, examples: index.examples, vocabulary };
  const { settings } = planSettings('emoji', data);
  await benchLoaders(options, { settings, indexFile, examples: index.examples }, site.env, report);
  for (const name of Object.keys(planShapes) as PlanShapeName[]) {
    if (!isWanted(options.only, 'plan/memory', name)) continue;
    const { settings, steps } = planSettings(name, data);
    const began = performance.now();
    const job: Omit<PlanProcessJob, 'folder'> = { settings, indexFile, steps };
    const { base, ...peaks } = await answerOf<PlanProcessAnswer>('plan-process.ts', job, site.env);
    const ms = performance.now() - began;
    const { processBytes, host } = memoryPlan(settings, index.examples);
    const peak = Math.max(...Object.values(peaks));
    report({
      name: 'plan/memory',
      variant: name,
      ...{ ms_min: ms, ms_median: ms, runs: 1 },
      ...{ base_bytes: base, peak_bytes: peak, planned_bytes: processBytes },
      moments: peaks,
      planned_ratio: (processBytes - host.libraries) / (peak - base),
    });
  }
}

/** What a plan says of a loader by its threads, and what it takes of a process that does nothing else. */
async function benchLoaders(
  { only }: BenchOptions,
  { settings, indexFile, examples }: { settings: PhaseSettings; indexFile: string; examples: number },
  env: NodeJS.ProcessEnv,
  report: Report,
): Promise<void> {
  for (const variant of benchmarks['plan/loader']) {
    if (!isWanted(only, 'plan/loader', variant)) continue;
    const threads = Number(variant);
    const began = performance.now();
    const job: PlanLoaderJob = { settings, indexFile, threads };
    const { base, peak } = await answerOf<PlanLoaderAnswer>('plan-loader-process.ts', job, env);
    const ms = performance.now() - began;
    const { loader, batches } = hostBytes(settings, examples, threads).parts;
    report({
      name: 'plan/loader',
      variant,
      ...{ ms_min: ms, ms_median: ms, runs: 1 },
      ...{ base_bytes: base, peak_bytes: peak, planned_bytes: base + loader + batches },
      planned_ratio: (loader + batches) / (peak - base),
    });
  }
}

async function answerOf<A>(process: string, job: object, env: NodeJS.ProcessEnv): Promise<A> {
  return withFolder(async (folder) => {
    const file = join(folder, 'job.json');
    await writeFile(file, JSON.stringify({ ...job, folder }));
    const [command, args] = ourProcess(process, file);
    const { stdout } = await promisify(execFile)(command, args, { env: { ...oneArena, ...env } });
    await rm(file);
    return JSON.parse(stdout.trim().split('\n').at(-1)!);
  });
}
