import { setImmediate as yieldToEvents } from 'node:timers/promises';

/** Called every few million products: who owns the process may let messages through. Changes no figure. */
export type Pause = () => Promise<void>;

const everyMs = 5000;

/** A pause that lets messages through, tells every five seconds that work goes on, and throws when nobody wants it any more. */
export function tellingPause(tell: () => void, signal: AbortSignal): Pause {
  let told = performance.now();
  return async () => {
    if (performance.now() - told > everyMs) {
      told = performance.now();
      tell();
    }
    await yieldToEvents();
    signal.throwIfAborted();
  };
}
