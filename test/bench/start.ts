import { rm } from 'node:fs/promises';
import type { BenchOptions } from './arguments.ts';
import { LineProcess } from './line-process.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';
import type { StartAnswer } from './start-process.ts';
import { spread } from './statistics.ts';
import { withFolder } from './temporary-folder.ts';

const name = 'start/first-step';

/** The demo's step in a trainer process, from its start to the end of its first step: without a cache, and with one. */
export async function benchStarts({ only, runs = 3 }: BenchOptions, report: Report): Promise<void> {
  for (const variant of benchmarks[name]) {
    if (!isWanted(only, name, variant)) continue;
    await withFolder(async (folder) => {
      const start = async () => {
        if (variant === 'cold') await rm(folder, { recursive: true, force: true });
        const child = await LineProcess.start<StartAnswer>(variant, ...ourProcess('start-process.ts', folder));
        await child.close();
        return child.ready.ms;
      };
      if (variant === 'warm') await start();
      const times: number[] = [];
      while (times.length < runs) times.push(await start());
      const { min, median } = spread(times);
      report({ name, variant, ms_min: min, ms_median: median, runs: times.length });
    });
  }
}
