import { LineProcess } from './line-process.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';
import { spread } from './statistics.ts';

interface MatmulAnswer {
  readonly ms: readonly number[];
  readonly flops: number;
  readonly tensorflow: string;
}

/** Operations a second at best, by precision, and the version of TensorFlow that reached them. */
export interface MatmulPeak {
  readonly flops: Readonly<Record<'f32' | 'bf16', number>>;
  readonly tensorflow: string;
}

/** Large square matmuls, of a side that shows the peak. Other benchmarks state their share of what this reached. */
export async function measureMatmulPeak(runs: number, report: Report, side = 2048): Promise<MatmulPeak> {
  const flops = { f32: 0, bf16: 0 };
  let tensorflow = '';
  for (const precision of ['f32', 'bf16'] as const) {
    const [command, args] = ourProcess('matmul-process.ts', precision, String(runs), String(side));
    const child = await LineProcess.start<MatmulAnswer>(`matmul ${precision}`, command, args);
    await child.close();
    const { ms, flops: operations, tensorflow: version } = child.ready;
    const { min, median } = spread(ms);
    flops[precision] = operations / (min / 1000);
    tensorflow = version;
    report({
      name: 'matmul/square',
      variant: precision,
      ms_min: min,
      ms_median: median,
      runs: ms.length,
      gflop: operations / 1e9,
      gflops: operations / 1e6 / min,
    });
  }
  return { flops, tensorflow };
}
