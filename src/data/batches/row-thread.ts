import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { fromThreadError, toThreadError } from '../../runtime/thread-error.ts';
import type { RemoteShard } from '../index/part-reader.ts';
import { makerOf } from './loader-maker.ts';
import type { FromRowThread, RowThreadData, ToRowThread } from './row-threads.ts';

/** A thread of `RowThreads`: makes the rows that it is asked for. */
const port = parentPort!;
const { settings } = workerData as RowThreadData;
sharp.concurrency(1);
sharp.cache(false);
const send = (message: FromRowThread, moved: ArrayBuffer[] = []) => port.postMessage(message, moved);

const fetching = new Map<number, { resolve(): void; reject(error: Error): void }>();
let fetches = 0;
const fetch = (shard: RemoteShard) =>
  new Promise<void>((resolve, reject) => {
    fetching.set(fetches, { resolve, reject });
    send({ type: 'fetch', id: fetches++, shard });
  });
const { maker } = makerOf(settings, (text) => send({ type: 'note', text }), { fetch });

port.on('message', (message: ToRowThread) => {
  if (message.type === 'rows') return void make(message);
  const asked = fetching.get(message.id)!;
  fetching.delete(message.id);
  if (message.error) asked.reject(fromThreadError(message.error));
  else asked.resolve();
});

async function make({ id, batch, from, count }: Extract<ToRowThread, { type: 'rows' }>): Promise<void> {
  try {
    const strip = await maker.untold(batch, from, count);
    const arrays = [strip.images, ...Object.values(strip.parts)];
    send(
      { type: 'made', id, strip },
      arrays.map(({ buffer }) => buffer as ArrayBuffer),
    );
  } catch (error) {
    send({ type: 'failed', id, error: toThreadError(error) });
  }
}
