import { Client, Connection } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { temporalEnvironment } from '../runtime/environment.ts';
import { RunnerError } from '../runtime/errors.ts';
import { payloadConverter } from '../runtime/payload-codec.ts';
import { say } from './output.ts';

/** Null when Temporal does not answer: the bucket still does. */
export async function connect(): Promise<Client | null> {
  const { connectionOptions, namespace, address } = temporalEnvironment();
  const dataConverter = payloadConverter();
  try {
    const connection = await Connection.connect({ ...connectionOptions, connectTimeout: 3000 });
    return new Client({ connection, namespace, ...(dataConverter && { dataConverter }) });
  } catch {
    say(`Temporal does not answer at ${address}; what follows is from the bucket alone`);
    return null;
  }
}

/** Refuses what would take away from under an open run. When Temporal does not answer nobody knows: then as well. */
export async function requireEnded(client: Client | null, run: string, command: string): Promise<void> {
  if (!client)
    throw new RunnerError(
      'StorageRefused',
      `${command} is refused while Temporal does not answer: the run may be open`,
    );
  try {
    const { status } = await client.workflow.getHandle(run).describe();
    if (status.name !== 'RUNNING') return;
    throw new RunnerError(
      'StorageRefused',
      `${command} is refused: the run is open; end it first, temporal workflow cancel --workflow-id ${run}`,
    );
  } catch (error) {
    // Imported, or older than what Temporal remembers.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  } finally {
    await client.connection.close();
  }
}
