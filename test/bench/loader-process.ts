import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { openBatches } from '../../src/data/batches/batches.ts';
import type { StoredIndex } from '../../src/data/index/types.ts';
import type { BatchPlan } from '../../src/recipe/batch-plan.ts';
import { memoryOf } from './memory.ts';

/** Our side of `loader-turns.ts`, in a process of its own. Argument: a file with a LoaderJob as JSON. The protocol is that of the peer. */
export interface LoaderJob {
  readonly index: StoredIndex;
  readonly plan: BatchPlan;
  readonly threads: number;
  /** Batches that are taken before those that are timed. */
  readonly drain: number;
}
export interface LoaderAnswer {
  /** Mean of a batch. */
  readonly ms: readonly [number];
  /** Resident bytes now. */
  readonly rss: number | null;
}

const { index, plan, threads, drain } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as LoaderJob;
const source = openBatches({ index, plan, firstBatch: 0, threads });
// A step turns bytes to numbers on its device. Here it is done on the CPU, since the peer does.
const numbers = Float32Array.from({ length: 256 }, (_, byte) => byte / 127.5 - 1);
let into = new Float32Array(0);

async function take(): Promise<void> {
  const batch = await source.next();
  const arrays = await batch.rows(0, batch.count);
  for (const array of Object.values(arrays)) {
    if (!(array instanceof Uint8Array)) continue;
    if (into.length < array.length) into = new Float32Array(array.length);
    for (let i = 0; i < array.length; i++) into[i] = numbers[array[i]!]!;
  }
  batch.close();
}

for (let i = 0; i < drain; i++) await take();
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  // What was made while others had their turn counts for nobody.
  for (let i = 0; i < drain; i++) await take();
  const began = performance.now();
  for (let i = 0; i < Number(line); i++) await take();
  const ms = [(performance.now() - began) / Number(line)];
  process.stdout.write(`${JSON.stringify({ ms, rss: memoryOf('VmRSS') })}\n`);
}
process.exit(0);
