import { chunkSizes } from '../../src/curation/draw.ts';
import { selectionFlops } from '../../src/model/flops.ts';
import type { BenchOptions } from './arguments.ts';
import { LineProcess } from './line-process.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';
import type { SelectionAnswer, SelectionJob } from './selection-process.ts';
import { spread } from './statistics.ts';

const name = 'selection/768';
const width = 768;
const chunks = 16;
const sizes = { '16k-of-32k': 32_768, '32k-of-64k': 65_536 };

/** Joint selections of half the candidates, of random directions; the first run compiles as well. `dry`: of few. */
export async function benchSelections({ only, runs }: BenchOptions, report: Report, dry = false): Promise<void> {
  for (const variant of benchmarks[name]) {
    if (!isWanted(only, name, variant)) continue;
    const candidates = dry ? sizes[variant] / 512 : sizes[variant];
    const job: SelectionJob = { candidates, width, chunks };
    const child = await LineProcess.start<{ embeddings: number }, SelectionAnswer>(
      variant,
      ...ourProcess('selection-process.ts', JSON.stringify(job)),
    );
    try {
      const answers: SelectionAnswer[] = [];
      while (answers.length < (runs ?? 3)) answers.push(await child.ask('select'));
      const { min, median } = spread(answers.map(({ ms }) => ms));
      const flops = selectionFlops(candidates, chunkSizes(candidates / 2, chunks), width);
      const { peak, beyond } = answers.at(-1)!;
      report({
        name,
        variant,
        ms_min: min,
        ms_median: median,
        runs: answers.length,
        gflop: flops / 1e9,
        gflops: flops / 1e6 / median,
        peak_bytes: peak,
        beyond_bytes: beyond,
        bytes: child.ready.embeddings,
      });
    } finally {
      await child.close();
    }
  }
}
