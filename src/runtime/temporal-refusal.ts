import type { TemporalEnvironment } from './environment.ts';
import { RunnerError } from './errors.ts';
import { grpcStatus } from './grpc-status.ts';

/** What passes by itself. A server whose database is away says any of them. */
const passing: ReadonlySet<number> = new Set([
  ...[grpcStatus.cancelled, grpcStatus.unknown, grpcStatus.deadlineExceeded, grpcStatus.resourceExhausted],
  ...[grpcStatus.aborted, grpcStatus.internal, grpcStatus.unavailable],
]);

/** Whether a call may be answered otherwise in a while, though nobody does anything. What is no answer of gRPC may. */
export function mayPass(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code !== 'number' || passing.has(code);
}

/**
 * What a status of gRPC means when it is a refusal: key, permission or namespace; null for all others.
 *
 * @param words the server's own
 */
export function refusalOfStatus(
  code: number,
  words: string,
  environment: Pick<TemporalEnvironment, 'address' | 'namespace' | 'connectionOptions'>,
  cause?: unknown,
): RunnerError | null {
  const { address, namespace, connectionOptions } = environment;
  const { apiKey } = connectionOptions;
  const secret = typeof apiKey === 'string' ? apiKey : undefined;
  const said = secret ? words.replaceAll(secret, 'the key') : words;
  const told = said ? ` (${said.split('\n', 1)[0]!.slice(0, 200).replace(/\.$/, '')})` : '';
  const make = (message: string) => new RunnerError('SetupMissing', message, cause === undefined ? {} : { cause });
  if (code === grpcStatus.unauthenticated)
    return make(
      secret
        ? `Temporal at ${address} refused the API key${told}; set TEMPORAL_API_KEY to one that is valid, and TEMPORAL_NAMESPACE to a namespace that it is for`
        : `Temporal at ${address} wants to know who asks${told}; set TEMPORAL_API_KEY, or TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH`,
    );
  if (code === grpcStatus.permissionDenied)
    return make(
      `Temporal at ${address} does not let this ${secret ? 'API key' : 'client'} into namespace ${namespace}${told}; set TEMPORAL_NAMESPACE (in Temporal Cloud NAME.ACCOUNT) and ${secret ? 'TEMPORAL_API_KEY' : 'the credentials'} to what belongs together`,
    );
  if (code === grpcStatus.notFound)
    return make(
      `namespace ${namespace} does not exist at Temporal at ${address}; set TEMPORAL_NAMESPACE to one that does, or make it: temporal operator namespace create --namespace ${namespace} (in Temporal Cloud: temporal cloud namespace create)`,
    );
  return null;
}

/** A refusal that an error of a call stands for; null for an outage, and for what has nothing to do with who asks. */
export function refusalOf(error: unknown, environment: TemporalEnvironment): RunnerError | null {
  const { code, details, message = '' } = error as { code?: unknown; details?: unknown; message?: string };
  if (typeof code !== 'number') return null;
  const words = typeof details === 'string' && details ? details : message.replace(/^\d+ [A-Z_]+: /, '');
  return refusalOfStatus(code, words, environment, error);
}
