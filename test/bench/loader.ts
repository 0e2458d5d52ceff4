import { rm } from 'node:fs/promises';
import { openBatches } from '../../src/data/batches/batches.ts';
import { collectTokenIds } from '../../src/data/example/token-ids.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import type { BenchOptions } from './arguments.ts';
import { isWanted } from './names.ts';
import type { Report } from './record.ts';
import { readEmojiRecipe } from './shapes.ts';
import type { Site } from './site.ts';
import { spread } from './statistics.ts';

/**
 * Batches as training gets them, taken as fast as they come. Cold: an epoch from a new thread with nothing on disk,
 * so that shards are fetched and every picture is decoded. Warm: the epoch after it, with pictures in memory.
 * Whoever takes at once always waits, so no batch of one epoch is made in the time of the other. `ms` is an epoch.
 */
export async function benchLoader({ runs = 3, only }: BenchOptions, site: Site, report: Report): Promise<void> {
  const recipe = readEmojiRecipe();
  const index = await indexData(site.store, recipe.data.train);
  const languages = recipe.data.captions.map(({ language }) => language);
  const vocabulary = await collectTokenIds(site.store, index, languages);
  const plan = phaseSettings(recipe, recipe.phases[0]!, { examples: index.examples, vocabulary }).batches;
  const batches = Math.floor(index.examples / plan.batch);
  const ms = { cold: [] as number[], warm: [] as number[] };
  for (let run = 0; run < runs; run++) {
    await rm(site.env.SIGLIP2_SCRATCH!, { recursive: true, force: true });
    const began = performance.now();
    const source = openBatches({ index: index.document, plan, firstBatch: 0, env: site.env });
    try {
      for (let i = 0; i < batches; i++) await source.next();
      const middle = performance.now();
      for (let i = 0; i < batches; i++) await source.next();
      ms.cold.push(middle - began);
      ms.warm.push(performance.now() - middle);
    } finally {
      await source.close();
    }
  }
  for (const variant of ['cold', 'warm'] as const) {
    if (!isWanted(only, 'loader/emoji', variant)) continue;
    const { min, median } = spread(ms[variant]);
    const images_per_second = (1000 * batches * plan.batch) / median;
    report({ name: 'loader/emoji', variant, ms_min: min, ms_median: median, runs, images_per_second });
  }
}
