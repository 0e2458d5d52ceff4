import { parentPort, workerData } from 'node:worker_threads';
import type { Asked, AskedThreadData, FromAskedThread } from './asked-thread.ts';
import { toThreadError } from './thread-error.ts';

/**
 * The thread's side of `AskedThread`. `buffers`: what of an answer moves to the other side instead of being copied.
 */
export function answer<S, Q, A>(
  open: (settings: S, note: (text: string) => void) => (question: Q) => A | Promise<A>,
  buffers: (answer: A) => readonly ArrayBufferView[],
): void {
  const port = parentPort!;
  const send = (message: FromAskedThread<A>, moved: ArrayBuffer[] = []) => port.postMessage(message, moved);
  const make = open((workerData as AskedThreadData<S>).settings, (text) => send({ type: 'note', text }));
  port.on('message', async ({ id, question }: Asked<Q>) => {
    try {
      const made = await make(question);
      send(
        { type: 'answer', id, answer: made },
        buffers(made).map(({ buffer }) => buffer as ArrayBuffer),
      );
    } catch (error) {
      send({ type: 'refused', id, error: toThreadError(error) });
    }
  });
}
