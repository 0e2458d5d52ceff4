import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { toThreadError } from '../../runtime/thread-error.ts';
import { takeTurnsBy } from '../example/decode-in-turn.ts';
import { makerOf } from './loader-maker.ts';
import type { FromRowThread, RowThreadData, ToRowThread } from './row-threads.ts';

/** A thread of `RowThreads`: makes the rows that it is asked for. */
const port = parentPort!;
const { settings, turns } = workerData as RowThreadData;
takeTurnsBy(turns);
sharp.concurrency(1);
sharp.cache(false);
const send = (message: FromRowThread, moved: ArrayBuffer[] = []) => port.postMessage(message, moved);

const { maker } = makerOf(settings, (text) => send({ type: 'note', text }));

port.on('message', make);

async function make({ id, batch, from, count }: ToRowThread): Promise<void> {
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
