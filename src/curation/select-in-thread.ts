import { parentPort, workerData } from 'node:worker_threads';
import { toThreadError } from '../runtime/thread-error.ts';
import { openSelector, type SelectionInputs, type SelectorSettings } from './selector.ts';
import type { FromSelector } from './selector-thread.ts';

/** The thread's side of `openSelectorThread`. */
const port = parentPort!;
const send = (message: FromSelector, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

try {
  const selector = openSelector((workerData as { settings: SelectorSettings }).settings);
  port.on('message', (inputs: SelectionInputs) => {
    selector.select(inputs).then(
      (selection) => {
        const { picked, scores, conditional } = selection;
        send(
          { type: 'selection', selection },
          [picked, scores, conditional].map(({ buffer }) => buffer as ArrayBuffer),
        );
      },
      (error: unknown) => send(toThreadError(error)),
    );
  });
  send({ type: 'ready' });
} catch (error) {
  send(toThreadError(error));
}
