import { fileURLToPath } from 'node:url';
import { startOf } from '../../src/runtime/built.mjs';

function nodeArguments(script: string): readonly string[] {
  const { flags, file } = startOf(fileURLToPath(new URL(`../../${script}`, import.meta.url)));
  return [...flags, file];
}

/** What Node is given to run a command, and a worker, as `npm run` starts them. */
export const cliStart = nodeArguments('src/cli.ts');
export const workerStart = nodeArguments('src/worker.ts');
