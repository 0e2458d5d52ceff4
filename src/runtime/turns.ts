import { setImmediate as yieldToEvents } from 'node:timers/promises';

/**
 * Long work asks for a turn now and then, and whatever else the process does has its own first when it has waited for
 * `everyMs`: beats go out, and signals come in.
 */
export function turns(everyMs = 50): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < everyMs) return;
    await yieldToEvents();
    last = performance.now();
  };
}
