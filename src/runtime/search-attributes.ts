import type { NativeConnection } from '@temporalio/worker';
import { RunnerError } from './errors.ts';

/** What runs and phases are found by in `temporal workflow list`; the numbers are those of Temporal's IndexedValueType. */
export const searchAttributes = {
  SiglipRun: { type: 'Keyword', value: 2, meaning: 'Name of the run.' },
  SiglipPhase: { type: 'Keyword', value: 2, meaning: 'Name of the phase that a workflow trains.' },
  SiglipState: { type: 'Keyword', value: 2, meaning: 'What it does, such as training, paused, waiting or done.' },
  SiglipStep: { type: 'Int', value: 3, meaning: 'Step of its last commit.' },
} as const;

/** The part of a connection that this needs: of the client's and of the worker's alike. */
type OperatorConnection = Pick<NativeConnection, 'operatorService'>;

/** Registers what the namespace lacks; without them no workflow could report where it stands. True when all were there. */
export async function ensureSearchAttributes(connection: OperatorConnection, namespace: string): Promise<boolean> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = Object.entries(searchAttributes).filter(([name]) => !(name in (customAttributes ?? {})));
  if (missing.length === 0) return true;
  const wanted = Object.fromEntries(missing.map(([name, { value }]) => [name, value]));
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: wanted });
    return false;
  } catch (cause) {
    const { code } = cause as { code?: number };
    // ALREADY_EXISTS: another worker was quicker. UNAVAILABLE and DEADLINE_EXCEEDED are for the caller to try again.
    if (code === 6) return false;
    if (code === 14 || code === 4) throw cause;
    const typed = missing.map(([name, { type }]) => `--name ${name} --type ${type}`).join(' ');
    throw new RunnerError(
      'SetupMissing',
      `namespace ${namespace} lacks search attributes, and this worker may not add them; type temporal operator search-attribute create ${typed}`,
      { cause },
    );
  }
}
