import type { BenchOptions } from './arguments.ts';
import { LineProcess } from './line-process.ts';
import { benchmarks, isWanted, traceNames } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';
import { spread } from './statistics.ts';
import type { TraceAnswer } from './trace-process.ts';

/** From settings to a loaded program of a large step, which has no state yet: what no cache needs to do again. */
export async function benchTraces({ only, runs }: BenchOptions, report: Report): Promise<void> {
  for (const name of traceNames) {
    for (const variant of benchmarks[name]) {
      if (!isWanted(only, name, variant)) continue;
      const answers: TraceAnswer[] = [];
      while (answers.length < (runs ?? 2)) {
        const child = await LineProcess.start<TraceAnswer>(variant, ...ourProcess('trace-process.ts', name, variant));
        await child.close();
        answers.push(child.ready);
      }
      const { min, median } = spread(answers.map(({ ms }) => ms));
      const peaks = answers.flatMap(({ peak }) => peak ?? []);
      const peak_bytes = peaks.length > 0 ? Math.max(...peaks) : null;
      report({ name, variant, ms_min: min, ms_median: median, runs: answers.length, peak_bytes });
    }
  }
}
