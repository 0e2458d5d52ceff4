import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import type { FromThread, ThreadData, ToThread } from './producer.ts';
import { toThreadError } from './thread-error.ts';

/**
 * The thread's side of `openProducer`: makes items when there is room for one more. `buffers`: what of an item moves to
 * the other side instead of being copied.
 */
export function produce<S, T>(
  make: (settings: S, note: (text: string) => void) => AsyncIterable<T>,
  buffers: (item: T) => readonly ArrayBufferView[],
): void {
  const port = parentPort!;
  const { settings, prefetch } = workerData as ThreadData<S>;
  const send = (message: FromThread<T>, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
  let credits = prefetch;
  let wake: () => void = () => {};
  port.on('message', (_: ToThread) => {
    credits++;
    wake();
  });
  // Pictures are decoded side by side; libvips' own threads would only compete with the device.
  sharp.concurrency(1);
  sharp.cache(false);

  async function run(): Promise<void> {
    const items = make(settings, (text) => send({ type: 'note', text }))[Symbol.asyncIterator]();
    for (;;) {
      while (credits === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      credits--;
      const { done, value: item } = await items.next();
      if (done) return;
      send(
        { type: 'item', item },
        buffers(item).map(({ buffer }) => buffer as ArrayBuffer),
      );
    }
  }

  run().catch((error: unknown) => send(toThreadError(error)));
}
