import { threadId } from 'node:worker_threads';
import { produce } from '../../src/runtime/produce.ts';

/**
 * Items of so many bytes each, one after another; below 0 it fails, and one of Infinity is never made. `made` counts them where both
 * sides see it, and holds the number of the thread behind that.
 */
export interface CountingSettings {
  readonly bytes: readonly number[];
  readonly made: SharedArrayBuffer;
}

async function* items({ bytes, made }: CountingSettings): AsyncGenerator<Uint8Array> {
  for (const size of bytes) {
    Atomics.add(new Int32Array(made), 0, 1);
    Atomics.store(new Int32Array(made), 1, threadId);
    if (size < 0) throw new Error('no such item');
    if (size === Number.POSITIVE_INFINITY) await new Promise(() => {});
    yield new Uint8Array(size);
  }
}

produce(items, (item) => [item]);
