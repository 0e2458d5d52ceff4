import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection } from '@temporalio/worker';
import { temporalEnvironment } from './environment.ts';
import { isRunnerError, type RunnerError } from './errors.ts';
import { grpcStatus } from './grpc-status.ts';
import { log } from './log.ts';
import { ensureSearchAttributes } from './search-attributes.ts';
import { type Look, lookAtTemporal } from './temporal-look.ts';
import { refusalOf } from './temporal-refusal.ts';

const longestPauseMs = 10_000;
/** What has taken a call and says nothing is away as well. */
const answerMs = 15_000;
/** A balancer that restarts may say no once. */
const believedAfter = 2;
const refusedPauseMs = 1_000;
/** A namespace that was just made is known everywhere after ten seconds. */
const namespaceMs = 12_000;

/** The SDK of workers trusts what the system does, and Node its own list: who is not trusted here is so for both. */
function refusalSeen(look: Look, { message }: Error): RunnerError | null {
  if (!look || !('refusal' in look) || (look.untrusted && !message.includes('InvalidCertificate'))) return null;
  return look.refusal;
}

/**
 * Connects to Temporal, however long it is away; null when `signal` says that there is no more need to. What refuses
 * this client is not waited for: SetupMissing, once it has been said twice.
 */
export async function connectPatiently(
  signal: AbortSignal,
  { newNamespaceMs = namespaceMs } = {},
): Promise<{ connection: NativeConnection; namespace: string; address: string } | null> {
  let refusals = 0;
  const began = Date.now();
  for (let pause = 500; !signal.aborted; ) {
    const environment = temporalEnvironment();
    const { address, namespace, connectionOptions } = environment;
    let connection: NativeConnection | undefined;
    try {
      const opened = await NativeConnection.connect(connectionOptions);
      connection = opened;
      await opened.withDeadline(Date.now() + answerMs, async () => {
        await opened.workflowService.describeNamespace({ namespace });
        await ensureSearchAttributes(opened, { namespace, address });
      });
      return { connection, namespace, address };
    } catch (error) {
      const look = connection ? null : await lookAtTemporal(environment);
      await connection?.close();
      if (isRunnerError(error)) throw error;
      const refusal = refusalOf(error, environment) ?? refusalSeen(look, error as Error);
      refusals = refusal ? refusals + 1 : 0;
      const young = (error as { code?: unknown }).code === grpcStatus.notFound && Date.now() - began < newNamespaceMs;
      if (refusal && refusals >= believedAfter && !young) throw refusal;
      const away = look && 'away' in look ? look.away : (error as Error).message;
      const what = refusal
        ? 'Temporal refuses this worker; it is asked again'
        : 'Temporal does not answer; it is tried again';
      log.warn({ address, reason: refusal?.message ?? away }, what);
      await delay(refusal ? refusedPauseMs : pause, undefined, { signal }).catch(() => {});
      pause = Math.min(longestPauseMs, 2 * pause);
    }
  }
  return null;
}
