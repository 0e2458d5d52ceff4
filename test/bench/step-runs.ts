import { stepFlops } from '../../src/model/flops.ts';
import { LineProcess, type Turn } from './line-process.ts';
import type { MatmulPeak } from './matmul.ts';
import { ourProcess } from './our-process.ts';
import type { BenchRecord } from './record.ts';
import { type ShapeName, stepSettings } from './shapes.ts';
import { spread } from './statistics.ts';
import type { StepJob } from './step-process.ts';

export type Compiled = 'f32' | 'bf16';

/** A process of ours with the step compiled and warmed up. */
export function startOurs(job: StepJob): Promise<LineProcess> {
  return LineProcess.start(`${job.name} ${job.variant}`, ...ourProcess('step-process.ts', JSON.stringify(job)));
}

/** What the turns of one process come to, ours or the peer's. */
export function recordOf(
  name: ShapeName,
  variant: string,
  precision: Compiled,
  turns: readonly Turn[],
  { ready }: Pick<LineProcess, 'ready'>,
  peak: MatmulPeak,
): BenchRecord {
  const { model, batches } = stepSettings(name, precision);
  const flops = stepFlops(model, batches.batch);
  const ms = turns.flatMap((turn) => turn.ms);
  const { min, median } = spread(ms);
  const last = turns.at(-1)!;
  return {
    name,
    variant,
    ms_min: min,
    ms_median: median,
    runs: ms.length,
    cpu_ms_median: spread(turns.flatMap((turn) => turn.cpuMs)).median,
    warm_up_ms: ready.warmUpMs,
    gflop: flops / 1e9,
    gflops: flops / 1e6 / median,
    peak_share: flops / (median / 1000) / peak.flops[precision],
    peak_bytes: last.peak,
    steps_peak_bytes: last.stepsPeak,
    base_bytes: ready.base,
  };
}
