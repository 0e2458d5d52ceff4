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
  const { settings, prefetch, prefetchBytes = Number.POSITIVE_INFINITY } = workerData as ThreadData<S>;
  const send = (message: FromThread<T>, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
  /** Bytes of each item that was sent and has not been taken. */
  const waiting: number[] = [];
  let latest = 0;
  let wake: () => void = () => {};
  port.on('message', (_: ToThread) => {
    waiting.shift();
    wake();
  });
  // The next item will have about the bytes of the latest one.
  const isRoom = () =>
    waiting.length === 0 ||
    (waiting.length < prefetch && waiting.reduce((sum, bytes) => sum + bytes, latest) <= prefetchBytes);
  // Pictures are decoded side by side; libvips' own threads would only compete with the device.
  sharp.concurrency(1);
  sharp.cache(false);

  async function run(): Promise<void> {
    const items = make(settings, (text) => send({ type: 'note', text }))[Symbol.asyncIterator]();
    for (;;) {
      while (!isRoom()) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const { done, value: item } = await items.next();
      if (done) return;
      const moved = buffers(item).map(({ buffer }) => buffer as ArrayBuffer);
      latest = moved.reduce((sum, { byteLength }) => sum + byteLength, 0);
      waiting.push(latest);
      send({ type: 'item', item }, moved);
    }
  }

  run().catch((error: unknown) => send(toThreadError(error)));
}
