import { fileURLToPath } from 'node:url';
import { DefaultLogger } from '@temporalio/worker';
import { RunnerError } from '../../src/runtime/errors.ts';
import { workflowBundle } from '../../src/runtime/workflow-bundle.ts';
import { buildFolder } from '../setup/build.mjs';

/**
 * Compiles our code and bundles the workflows while an image is built, as a worker there will ask for them, with and without encryption:
 * its cache is read-only, and each start would take two seconds of a core for it.
 */
if (!(await buildFolder())) throw new RunnerError('SetupMissing', 'our code could not be compiled into the image');
const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));
const failures = fileURLToPath(new URL('../../src/runtime/payload-failures.cjs', import.meta.url));
for (const failureConverterPath of [undefined, failures])
  await workflowBundle({ workflowsPath, failureConverterPath, logger: new DefaultLogger('WARN') });
