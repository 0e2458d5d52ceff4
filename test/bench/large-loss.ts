import type { BenchOptions } from './arguments.ts';
import type { LargeLossAnswer, LargeLossJob } from './large-loss-process.ts';
import { LineProcess } from './line-process.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';
import { spread } from './statistics.ts';

/** The parts of a step that grow faster than the batch, or with the vocabulary of a head, at the paper's size. */
const jobs = {
  'contrast/32k': { kind: 'contrast', batch: 32_768 },
  'contrast/64k': { kind: 'contrast', batch: 65_536 },
  'patch-head/b16': { kind: 'patch-head', batch: 64 },
} as const;

export async function benchLargeLosses({ only, runs }: BenchOptions, report: Report): Promise<void> {
  for (const name of Object.keys(jobs) as (keyof typeof jobs)[]) {
    for (const precision of benchmarks[name]) {
      if (!isWanted(only, name, precision)) continue;
      const job: LargeLossJob = { ...jobs[name], precision };
      const child = await LineProcess.start<{ bytes: number; flops: number }, LargeLossAnswer>(
        precision,
        ...ourProcess('large-loss-process.ts', JSON.stringify(job)),
      );
      try {
        const answers: LargeLossAnswer[] = [];
        // The first run compiles as well.
        while (answers.length < 1 + (runs ?? 3)) answers.push(await child.ask('run'));
        const { min, median } = spread(answers.slice(1).map(({ ms }) => ms));
        const { bytes, flops } = child.ready;
        const { peak, beyond } = answers.at(-1)!;
        report({
          name,
          variant: precision,
          ...{ ms_min: min, ms_median: median, runs: answers.length - 1 },
          ...{ gflop: flops / 1e9, gflops: flops / 1e6 / median },
          ...{ peak_bytes: peak, beyond_bytes: beyond, bytes },
        });
      } finally {
        await child.close();
      }
    }
  }
}
