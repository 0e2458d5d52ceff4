import { readFile } from 'node:fs/promises';
import { RunnerError } from '../runtime/errors.ts';
import { isRecord, readJsonText } from '../runtime/json-text.ts';

/** What a workflow that prepares data is started with: what options say, over what a file of settings says. */
export async function settingsInput(
  file: string | undefined,
  prefixes: readonly string[],
  { read, ...options }: Readonly<Record<string, unknown>> & { readonly read: string | undefined },
): Promise<object> {
  const settings = file === undefined ? {} : jsonOf(file, await readSettings(file));
  const own = {
    ...options,
    data: prefixes.length === 0 ? undefined : prefixes.length === 1 ? prefixes[0] : prefixes,
    read: read === undefined ? undefined : jsonOf('--read', Buffer.from(read)),
  };
  return { ...settings, ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)) };
}

const readSettings = (path: string) =>
  readFile(path).catch((cause) => {
    throw new RunnerError('RecipeInvalid', `${path} can't be read (${cause.code}); name a JSON file`, { cause });
  });

function jsonOf(name: string, bytes: Uint8Array): object {
  const { value, problem } = readJsonText(bytes);
  if (isRecord(value)) return value;
  throw new RunnerError('RecipeInvalid', `${name}: ${problem ?? 'it is no JSON object'}`);
}
