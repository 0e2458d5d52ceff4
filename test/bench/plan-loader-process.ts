import { readFileSync } from 'node:fs';
import { openBatches } from '../../src/data/batches/batches.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { collectGarbage } from '../../src/runtime/collect-garbage.ts';
import { prefetchedBatches } from '../../src/train/host-bytes.ts';
import { forgetPeak, memoryOf, settle } from './memory.ts';

/**
 * The loader of a phase alone, in a process that has no TensorFlow: its batches are made, waited for and let go. Argument: a
 * file that holds a PlanLoaderJob. Prints a PlanLoaderAnswer.
 */
export interface PlanLoaderJob {
  readonly settings: PhaseSettings;
  readonly indexFile: string;
  readonly threads: number;
}
/** Resident bytes: of Node with what is imported, and at the peak. */
export interface PlanLoaderAnswer {
  readonly base: number;
  readonly peak: number;
}

const { settings, indexFile, threads } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as PlanLoaderJob;
collectGarbage();
const base = memoryOf('VmRSS')!;
forgetPeak();
const index = JSON.parse(readFileSync(indexFile, 'utf8'));
const source = openBatches({ index, plan: settings.batches, firstBatch: 0, prefetch: prefetchedBatches, threads });
for (let batch = 0; batch < 8; batch++) {
  const made = await source.next();
  await made.rows(0, made.count, { last: true });
  made.close();
  settle(30_000, 4);
}
process.stdout.write(`${JSON.stringify({ base, peak: memoryOf('VmHWM')! })}\n`);
process.exit(0);
