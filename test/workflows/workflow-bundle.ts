import { fileURLToPath } from 'node:url';
import { DefaultLogger } from '@temporalio/worker';
import { workflowBundle } from '../../src/runtime/workflow-bundle.ts';

const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));

/** The workflows, as a worker has them. */
export const bundled = (failureConverterPath?: string) =>
  workflowBundle({ workflowsPath, failureConverterPath, logger: new DefaultLogger('ERROR') });
