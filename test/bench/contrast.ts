import type { BenchOptions } from './arguments.ts';
import type { ContrastAnswer } from './contrast-process.ts';
import { LineProcess } from './line-process.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';
import { spread } from './statistics.ts';

const batches = { 'contrast/32k': 32_768, 'contrast/64k': 65_536 } as const;

/** The part of a step that grows with the square of the batch, at the paper's batch and at twice that. */
export async function benchContrast({ only, runs }: BenchOptions, report: Report): Promise<void> {
  for (const name of Object.keys(batches) as (keyof typeof batches)[]) {
    for (const variant of benchmarks[name]) {
      if (!isWanted(only, name, variant)) continue;
      const batch = batches[name];
      const child = await LineProcess.start<{ embeddings: number; width: number }, ContrastAnswer>(
        variant,
        ...ourProcess('contrast-process.ts', variant, String(batch)),
      );
      try {
        const answers: ContrastAnswer[] = [];
        // The first run compiles as well.
        while (answers.length < 1 + (runs ?? 3)) answers.push(await child.ask('run'));
        const { min, median } = spread(answers.slice(1).map(({ ms }) => ms));
        const { embeddings: bytes, width } = child.ready;
        const flops = 3 * 2 * batch ** 2 * width;
        const { peak, beyond } = answers.at(-1)!;
        report({
          name,
          variant,
          ms_min: min,
          ms_median: median,
          runs: answers.length - 1,
          gflop: flops / 1e9,
          gflops: flops / 1e6 / median,
          peak_bytes: peak,
          beyond_bytes: beyond,
          bytes,
        });
      } finally {
        await child.close();
      }
    }
  }
}
