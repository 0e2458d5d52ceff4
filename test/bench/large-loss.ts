import type { BenchOptions } from './arguments.ts';
import type { LargeLossAnswer, LargeLossJob } from './large-loss-process.ts';
import type { LargeLoss } from './large-losses.ts';
import { LineProcess } from './line-process.ts';
import type { MatmulPeak } from './matmul.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';
import { spread } from './statistics.ts';

/** The parts of a step that grow faster than the batch, or with the vocabulary of a head, at the paper's size. */
const jobs = {
  'contrast/32k': { kind: 'contrast', batch: 32_768, few: 128 },
  'contrast/64k': { kind: 'contrast', batch: 65_536, few: 256 },
  'patch-head/b16': { kind: 'patch-head', batch: 64, few: 1 },
} as const;

/**
 * Each with the share of its time that its matmuls would take at the peak, where that was measured in the same run. `dry`:
 * of a few pairs or images, to see that it runs.
 */
export async function benchLargeLosses(
  { only, runs }: BenchOptions,
  report: Report,
  dry = false,
  peak: MatmulPeak | null = null,
): Promise<void> {
  for (const name of Object.keys(jobs) as (keyof typeof jobs)[]) {
    for (const precision of benchmarks[name]) {
      if (!isWanted(only, name, precision)) continue;
      const { kind, batch, few } = jobs[name];
      const job: LargeLossJob = { kind, precision, batch: dry ? few : batch };
      const child = await LineProcess.start<{ bytes: number; flops: LargeLoss['flops'] }, LargeLossAnswer>(
        precision,
        ...ourProcess('large-loss-process.ts', JSON.stringify(job)),
      );
      try {
        const answers: LargeLossAnswer[] = [];
        // The first run compiles as well.
        while (answers.length < 1 + (runs ?? 3)) answers.push(await child.ask('run'));
        const { min, median } = spread(answers.slice(1).map(({ ms }) => ms));
        const { bytes, flops } = child.ready;
        const { peak: most, beyond } = answers.at(-1)!;
        const operations = flops.f32 + flops.bf16;
        const atPeak = peak && 1000 * (flops.f32 / peak.flops.f32 + flops.bf16 / peak.flops.bf16);
        report({
          name,
          variant: precision,
          ...{ ms_min: min, ms_median: median, runs: answers.length - 1 },
          ...{ gflop: operations / 1e9, gflops: operations / 1e6 / median },
          ...(atPeak && { peak_share: atPeak / median }),
          ...{ peak_bytes: most, beyond_bytes: beyond, bytes },
        });
      } finally {
        await child.close();
      }
    }
  }
}
