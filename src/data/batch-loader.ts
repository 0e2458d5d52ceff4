import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { batchAt } from '../recipe/steps.ts';
import { isRunnerError } from '../runtime/errors.ts';
import { paths } from '../runtime/paths.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { BatchMaker } from './batch-maker.ts';
import type { FromLoader, LoaderSettings, ToLoader } from './batches.ts';
import { patientReads } from './patient-store.ts';
import { ShardCache } from './shard-cache.ts';
import type { DataIndex } from './types.ts';

/** The thread of `openBatches`: makes batches in order, never more than `prefetch` ahead of those taken. */

const port = parentPort!;
const send = (message: FromLoader, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

let credits = 0;
let wake: () => void = () => {};
port.on('message', (_: ToLoader) => {
  credits++;
  wake();
});

async function run({ index: given, plan, firstBatch, skip, prefetch, env }: LoaderSettings): Promise<never> {
  // Pictures are decoded side by side; libvips' own threads would only compete with the training step.
  sharp.concurrency(1);
  sharp.cache(false);
  const index: DataIndex = typeof given === 'string' ? JSON.parse(readFileSync(given, 'utf8')) : given;
  const store = patientReads(objectStoreFromEnvironment(env), (text) => send({ type: 'note', text }));
  const shards = new ShardCache(store, join(paths(env).scratch, 'shards'));
  const maker = new BatchMaker(index, plan, shards);
  credits += prefetch;
  let fetching = false;
  for (let position = firstBatch; ; position++) {
    const batch = batchAt(position, skip);
    while (credits === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    credits--;
    // What goes wrong here goes wrong again, and is told, when the shard itself is needed.
    if (!fetching) {
      fetching = true;
      const done = () => {
        fetching = false;
      };
      maker.fetchAhead(batch).then(done, done);
    }
    const made = await maker.make(batch);
    const arrays = [made.images, made.tokens, ...Object.values(made.parts)];
    send(
      { type: 'batch', batch: made },
      arrays.map(({ buffer }) => buffer as ArrayBuffer),
    );
  }
}

run(workerData as LoaderSettings).catch((error: unknown) => {
  const code = isRunnerError(error) ? error.code : null;
  const details = isRunnerError(error) ? { ...error.details } : {};
  const message = error instanceof Error ? (code ? error.message : (error.stack ?? error.message)) : String(error);
  send({ type: 'failed', code, message, details });
});
