import type { BenchOptions } from './arguments.ts';
import { benchDurability } from './durability.ts';
import { benchHost } from './host.ts';
import { benchIndex } from './index-100m.ts';
import { benchLoader } from './loader.ts';
import { benchLoaderTurns } from './loader-turns.ts';
import { anyWanted } from './names.ts';
import { benchPlanMemory } from './plan-memory.ts';
import type { Report } from './record.ts';
import { benchResume } from './resume.ts';
import { withSite } from './site.ts';

/** Enough pictures for a dozen batches; and enough for one, where only the time to go on, or memory, counts. */
const loaderConcepts = 620;
const resumeConcepts = 64;

/** The benchmarks that need a store, or all services. */
export async function benchServices(options: BenchOptions, report: Report): Promise<void> {
  if (anyWanted(options.only, 'loader/jpeg'))
    await withSite({ worker: false, concepts: 1 }, (site) => benchLoaderTurns(options, site, report));
  const loader = anyWanted(options.only, 'loader/emoji');
  const checkpoint = anyWanted(options.only, 'checkpoint');
  if (loader || checkpoint) {
    await withSite({ worker: false, concepts: loader ? loaderConcepts : resumeConcepts }, async (site) => {
      if (loader) await benchLoader(options, site, report);
      if (checkpoint) {
        // It brings TensorFlow, which must not lie in memory beside the steps that others measure.
        const { benchCheckpoint } = await import('./checkpoint.ts');
        await benchCheckpoint(options, site, report);
      }
    });
  }
  if (anyWanted(options.only, 'index')) await benchIndex(options, report);
  if (anyWanted(options.only, 'host')) {
    await withSite({ worker: false, concepts: 1 }, (site) => benchHost(options, site, report));
  }
  if (anyWanted(options.only, 'durability')) {
    await withSite({ worker: false, concepts: loaderConcepts }, (site) => benchDurability(options, site, report));
  }
  if (anyWanted(options.only, 'plan')) {
    await withSite({ worker: false, concepts: resumeConcepts }, (site) => benchPlanMemory(options, site, report));
  }
  if (anyWanted(options.only, 'resume')) {
    await withSite({ worker: true, concepts: resumeConcepts }, (site) => benchResume(options, site, report));
  }
}
