import type { BenchOptions } from './arguments.ts';
import { LineProcess } from './line-process.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';
import type { RetrievalAnswer, RetrievalJob } from './retrieval-process.ts';
import { spread } from './statistics.ts';

/** The largest set that a task takes by default with five captions of each picture, and the one with the most languages. */
const jobs = {
  'retrieval/50k': { pictures: 50_000, captions: 5, languages: 1, width: 768 },
  'retrieval/xm3600': { pictures: 3600, captions: 2, languages: 36, width: 768 },
} as const satisfies Record<string, RetrievalJob>;

/** Retrieval both ways, its places and its intervals. */
export async function benchRetrieval({ only, runs }: BenchOptions, report: Report): Promise<void> {
  for (const [name, job] of Object.entries(jobs) as [keyof typeof jobs, RetrievalJob][])
    for (const variant of benchmarks[name]) {
      if (!isWanted(only, name, variant)) continue;
      const [command, args] = ourProcess('retrieval-process.ts', JSON.stringify(job));
      const child = await LineProcess.start<object, RetrievalAnswer>(name, command, args);
      try {
        const answers: RetrievalAnswer[] = [];
        while (answers.length < (runs ?? 1)) answers.push(await child.ask('retrieve'));
        const { min, median } = spread(answers.map(({ ms }) => ms));
        const flop = 2 * job.pictures ** 2 * job.captions * job.languages * job.width;
        report({
          ...{ name, variant, ms_min: min, ms_median: median, runs: answers.length },
          cpu_ms_median: spread(answers.map(({ cpuMs }) => cpuMs)).median,
          gflop: flop / 1e9,
          gflops: flop / 1e6 / median,
          peak_bytes: answers.at(-1)!.peak,
        });
      } finally {
        await child.close();
      }
    }
}
