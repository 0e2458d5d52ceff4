import { parentPort } from 'node:worker_threads';
import sharp from 'sharp';
import type { FromThread, ProducerOptions, ToThread } from './producer.ts';
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
  const send = (message: FromThread<T>, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
  /** Bytes of each item that was sent and has not been taken. */
  let waiting: number[] = [];
  let ended = false;
  let wake: () => void = () => {};
  let running = Promise.resolve();
  port.on('message', (message: ToThread<S>) => {
    if (message.type === 'begin') {
      [waiting, ended] = [[], false];
      running = run(message.job).catch((error: unknown) => send(toThreadError(error)));
    } else if (message.type === 'taken') waiting.shift();
    else {
      ended = true;
      void running.then(() => send({ type: 'idle' }));
    }
    wake();
  });
  // Pictures are decoded side by side; libvips' own threads would only compete with the device.
  sharp.concurrency(1);
  sharp.cache(false);

  async function run(job: Omit<ProducerOptions<S>, 'module' | 'keep'>): Promise<void> {
    const { settings, prefetch, prefetchBytes = Number.POSITIVE_INFINITY } = job;
    let latest = 0;
    // The next item will have about the bytes of the latest one.
    const isRoom = () =>
      waiting.length === 0 ||
      (waiting.length < prefetch && waiting.reduce((sum, bytes) => sum + bytes, latest) <= prefetchBytes);
    for await (const item of make(settings, (text) => send({ type: 'note', text }))) {
      if (ended) return;
      const moved = buffers(item).map(({ buffer }) => buffer as ArrayBuffer);
      latest = moved.reduce((sum, { byteLength }) => sum + byteLength, 0);
      waiting.push(latest);
      send({ type: 'item', item }, moved);
      while (!isRoom() && !ended) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (ended) return;
    }
  }
}
