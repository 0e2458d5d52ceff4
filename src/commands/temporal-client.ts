import { Client, Connection, isGrpcServiceError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { phasesOf } from '../checkpoint/commits.ts';
import { silentMs, whoIsAtWork } from '../checkpoint/work.ts';
import { temporalEnvironment } from '../runtime/environment.ts';
import { RunnerError } from '../runtime/errors.ts';
import { grpcStatus } from '../runtime/grpc-status.ts';
import { payloadConverter } from '../runtime/payload-codec.ts';
import { lookAtTemporal } from '../runtime/temporal-look.ts';
import { refusalOf } from '../runtime/temporal-refusal.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { say } from './output.ts';

const connectMs = 3000;

/**
 * Null when Temporal does not answer, which is told unless `quiet`: the bucket still does. SetupMissing when it refuses who
 * asks.
 */
export async function connect({ quiet = false } = {}): Promise<Client | null> {
  const environment = temporalEnvironment();
  const { connectionOptions, namespace, address } = environment;
  const dataConverter = payloadConverter();
  const look = isProxied() ? null : await lookAtTemporal(environment);
  if (look && 'refusal' in look) throw look.refusal;
  let connection: Connection | undefined;
  try {
    if (look) throw new Error(look.away);
    connection = await Connection.connect({ ...connectionOptions, connectTimeout: connectMs });
    const { workflowService } = connection;
    await connection.withDeadline(Date.now() + connectMs, () => workflowService.describeNamespace({ namespace }));
    return new Client({ connection, namespace, ...(dataConverter && { dataConverter }) });
  } catch (error) {
    await connection?.close();
    const refusal = refusalOf(error, environment);
    if (refusal) throw refusal;
    const why = look?.hint === undefined ? '' : ` (${look.hint})`;
    if (!quiet) say(`Temporal does not answer at ${address}${why}; what follows is from the bucket alone`);
    return null;
  }
}

/** Whether calls go by a proxy, as gRPC reads it from the environment: then nobody can look at the address itself. */
function isProxied(): boolean {
  return ['grpc_proxy', 'https_proxy', 'http_proxy'].some((name) => process.env[name]);
}

/**
 * Refuses what would take away from under an open run, or under a phase of it that was started alone. When Temporal does
 * not answer nobody knows: then as well. A Temporal that was set up anew knows nothing of attempts that go on: then the
 * bucket says so.
 */
export async function requireEnded(
  client: Client | null,
  store: ObjectStore,
  run: string,
  command: string,
): Promise<void> {
  const refused = (why: string) => new RunnerError('StorageRefused', `${command} is refused${why}`);
  if (!client) throw refused(' while Temporal does not answer: the run may be open');
  try {
    const [open] = await openWorkflows(client, store, run);
    if (open)
      throw refused(
        `: ${open === run ? 'the run' : open} is open; end it first, temporal workflow cancel --workflow-id ${open}`,
      );
  } finally {
    await client.connection.close();
  }
  const [works] = await whoIsAtWork(store, run);
  if (works)
    throw refused(
      `: an attempt at phase ${works.phase} was at work ${works.secondsAgo} s ago, as the bucket says; end its worker, or wait until nothing was heard of it for ${silentMs / 60_000} minutes`,
    );
}

/** Refuses what would take away from under a workflow that is open, or may be. */
export async function requireNotAtWork(client: Client | null, workflowId: string, command: string): Promise<void> {
  const refused = (why: string) => new RunnerError('StorageRefused', `${command} is refused${why}`);
  if (!client) throw refused(' while Temporal does not answer: its workflow may be open');
  try {
    if (await isOpen(client, workflowId))
      throw refused(`: ${workflowId} is open; end it first, temporal workflow cancel --workflow-id ${workflowId}`);
  } finally {
    await client.connection.close();
  }
}

/** Open workflows of a run: its own, those of its phases, and whatever else says that it belongs to it. */
async function openWorkflows(client: Client, store: ObjectStore, run: string): Promise<string[]> {
  const open = new Set<string>();
  const asked = [run, ...(await phasesOf(store, run)).map((phase) => `${run}/${phase}`)];
  for (const id of asked) if (await isOpen(client, id)) open.add(id);
  // What is listed may be a moment behind what is described, but knows every name.
  const named = `WorkflowId STARTS_WITH "${run}/"`;
  for (const query of [`${named} OR SiglipRun = "${run}"`, named]) {
    try {
      for await (const { workflowId } of client.workflow.list({ query: `ExecutionStatus = "Running" AND (${query})` }))
        open.add(workflowId);
      break;
    } catch (error) {
      // No worker has registered the search attribute here yet.
      if (!isGrpcServiceError(error) || error.code !== grpcStatus.invalidArgument) throw error;
    }
  }
  return [...open];
}

async function isOpen(client: Client, workflowId: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(workflowId).describe()).status.name === 'RUNNING';
  } catch (error) {
    // Imported, or older than what Temporal remembers.
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
