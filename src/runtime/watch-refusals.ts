import { setTimeout as delay } from 'node:timers/promises';
import type { NativeConnection } from '@temporalio/worker';
import { temporalEnvironment } from './environment.ts';
import type { RunnerError } from './errors.ts';
import { refusalOf } from './temporal-refusal.ts';

const answerMs = 15_000;

export interface RefusalWatch {
  /** Aborted with the refusal as its reason. */
  readonly signal: AbortSignal;
  stop(): void;
}

/**
 * Asks now and then whether Temporal still lets this worker in: a key that is revoked or has expired is an error of each
 * call, and the SDK asks for tasks again for ever. A refusal is believed when it is said twice; an outage is none.
 */
export function watchRefusals(
  { connection, namespace }: { readonly connection: NativeConnection; readonly namespace: string },
  { everyMs = 30_000, againMs = 2_000 } = {},
): RefusalWatch {
  const refused = new AbortController();
  const over = new AbortController();
  const look = (): Promise<RunnerError | null> =>
    connection
      .withDeadline(Date.now() + answerMs, () => connection.workflowService.describeNamespace({ namespace }))
      .then(
        () => null,
        (error) => refusalOf(error, temporalEnvironment()),
      );
  const watch = async () => {
    for (let before: RunnerError | null = null; ; ) {
      await delay(before ? againMs : everyMs, undefined, { signal: over.signal, ref: false });
      const now = await look();
      if (over.signal.aborted) return;
      if (now && before) return refused.abort(now);
      before = now;
    }
  };
  watch().catch(() => {});
  return { signal: refused.signal, stop: () => over.abort() };
}
