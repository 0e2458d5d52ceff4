import { produce } from '../../src/runtime/produce.ts';

/** Items of so many bytes each, one after another; `made` counts them where both sides see it. */
export interface CountingSettings {
  readonly bytes: readonly number[];
  readonly made: SharedArrayBuffer;
}

async function* items({ bytes, made }: CountingSettings): AsyncGenerator<Uint8Array> {
  for (const size of bytes) {
    Atomics.add(new Int32Array(made), 0, 1);
    yield new Uint8Array(size);
  }
}

produce(items, (item) => [item]);
