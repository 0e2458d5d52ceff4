import type { BenchOptions } from './arguments.ts';
import type { MatmulPeak } from './matmul.ts';
import { benchmarks, isWanted, stepNames } from './names.ts';
import { benchInTurns } from './peer-turns.ts';
import type { Report } from './record.ts';
import { precisionOf, type ShapeName } from './shapes.ts';
import type { StepJob } from './step-process.ts';
import { recordOf, startOurs } from './step-runs.ts';

type Variant = StepJob['variant'];

/** Steps of every shape and variant: each alone, or in turns with the peer. */
export async function benchSteps(options: BenchOptions, peak: MatmulPeak, report: Report): Promise<void> {
  for (const name of stepNames) {
    for (const variant of benchmarks[name]) {
      if (!isWanted(options.only, name, variant)) continue;
      if (options.peer && (variant === 'f32' || variant === 'bf16'))
        await benchInTurns(name, variant, options.peer, options, peak, report);
      else await benchAlone(name, variant, options, peak, report);
    }
  }
}

/** Steps of one shape and variant, in a process that is warm. */
export async function benchAlone(
  name: ShapeName,
  variant: Variant,
  { runs }: BenchOptions,
  peak: MatmulPeak,
  report: Report,
): Promise<void> {
  const ours = await startOurs({ name, variant, warmUp: variant === 'eager' ? 1 : 3 });
  try {
    const turn = await ours.ask(String(variant === 'eager' ? Math.min(runs ?? 3, 3) : (runs ?? 10)));
    report(recordOf(name, variant, precisionOf(variant), [turn], ours, peak));
  } finally {
    await ours.close();
  }
}
