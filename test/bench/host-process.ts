import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Values } from '../../src/compile/definition.ts';
import { openBatches } from '../../src/data/batches/batches.ts';
import type { BatchRows } from '../../src/data/batches/types.ts';
import type { StoredIndex } from '../../src/data/index/types.ts';
import { collectGarbage } from '../../src/runtime/collect-garbage.ts';
import { Curator } from '../../src/train/curate.ts';
import { prefetchedBatches } from '../../src/train/host-bytes.ts';
import { freshState, writeState } from '../../src/train/state.ts';
import { createTrainer, stepDefinition } from '../../src/train/step.ts';
import { forgetPeak, memoryOf } from './memory.ts';
import { repeatedRows } from './repeated-rows.ts';
import { hostSettings } from './shapes.ts';

/** One step on a batch of the paper's size, in a process of its own. Arguments: a HostJob as JSON. A line that is read begins it. */
export interface HostJob {
  readonly variant: 'views' | 'acid';
  /** Local file with the StoredIndex. */
  readonly indexFile: string;
  /** For the weights of a teacher. */
  readonly folder: string;
}
export interface HostAnswer {
  /** Of the step, and until its pictures were made. */
  readonly ms: number;
  readonly making: number;
  readonly peak: number | null;
  readonly beyond: number | null;
}

const { variant, indexFile, folder } = JSON.parse(process.argv[2]!) as HostJob;
/** Rows that the loader makes: more than memory holds, and a whole part of what is asked for. */
const rowsMade = { views: 2048, acid: 8192 }[variant];
const settings = hostSettings(variant);
const { batch, candidates } = settings.batches;

await writeState(folder, settings, freshState(settings));
const trainer = createTrainer(settings);
const curator = await Curator.open(settings, trainer.program, folder);
// What is compiled when it is first used is no matter of batches.
trainer.program.write(freshState(settings));
for (const [name, { feeds }] of Object.entries(stepDefinition(settings).signatures)) {
  const zeros = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };
  const values = Object.entries(feeds).map(([feed, { shape, dtype }]): [string, Values[string]] => [
    feed,
    new zeros[dtype](shape.reduce((a, b) => a * b, 1)),
  ]);
  trainer.program.run(name, Object.fromEntries(values));
}
trainer.program.write(freshState(settings));
collectGarbage();
const before = memoryOf('VmRSS');
forgetPeak();
process.stdout.write(`${JSON.stringify({ ready: true, rowsMade })}\n`);

for await (const _ of createInterface({ input: process.stdin })) {
  // The loader is asked for the rows that it is to make; all else is as in training.
  const own = candidates === undefined ? { batch: rowsMade } : { candidates: rowsMade };
  const plan = { ...settings.batches, ...own };
  const index = JSON.parse(readFileSync(indexFile, 'utf8')) as StoredIndex;
  const source = openBatches({ index, plan, firstBatch: 0, prefetch: prefetchedBatches });
  const began = performance.now();
  let making = 0;
  const made = () => {
    making = performance.now() - began;
  };
  const all = repeatedRows(await source.next(), candidates ?? batch, made);
  await trainer.stepOn(1, curator ? await chosenOf(curator, all) : all, 0);
  const ms = performance.now() - began;
  const peak = memoryOf('VmHWM');
  await source.close();
  process.stdout.write(`${JSON.stringify({ ms, making, peak, beyond: peak && before && peak - before })}\n`);
}
process.exit(0);

async function chosenOf(curator: Curator, all: BatchRows): Promise<BatchRows> {
  const choice = await curator.select(await curator.embed(1, all), all);
  return (await curator.take(choice, all)).batch;
}
