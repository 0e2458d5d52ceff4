import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection } from '@temporalio/worker';
import { temporalEnvironment } from './environment.ts';
import { isRunnerError } from './errors.ts';
import { log } from './log.ts';
import { ensureSearchAttributes } from './search-attributes.ts';

const longestPauseMs = 10_000;

/** Connects to Temporal, however long it is away; null when `signal` says that there is no more need to. */
export async function connectPatiently(
  signal: AbortSignal,
): Promise<{ connection: NativeConnection; namespace: string; address: string } | null> {
  for (let pause = 500; !signal.aborted; pause = Math.min(longestPauseMs, 2 * pause)) {
    const { address, namespace, connectionOptions } = temporalEnvironment();
    let connection: NativeConnection | undefined;
    try {
      connection = await NativeConnection.connect(connectionOptions);
      await ensureSearchAttributes(connection, namespace);
      return { connection, namespace, address };
    } catch (error) {
      await connection?.close();
      if (isRunnerError(error)) throw error;
      log.warn({ address, reason: (error as Error).message }, 'Temporal does not answer; it is tried again');
      await delay(pause, undefined, { signal }).catch(() => {});
    }
  }
  return null;
}
