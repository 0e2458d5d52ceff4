import { fileURLToPath } from 'node:url';

/** Command and arguments that run a TypeScript file of this folder in a Node like this one. */
export function ourProcess(file: string, ...args: readonly string[]): [command: string, args: string[]] {
  return [process.execPath, ['--import', 'tsx', fileURLToPath(new URL(file, import.meta.url)), ...args]];
}
