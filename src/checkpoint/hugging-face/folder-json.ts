import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RunnerError } from '../../runtime/errors.ts';
import { foreignKind } from '../../runtime/file-kind.ts';

/** Of Gemma's tokenizer.json, about twice. */
const largestJson = 64 * 1024 * 1024;

export const isFile = async (path: string): Promise<boolean> => (await stat(path).catch(() => null))?.isFile() === true;

/** The text of a JSON file of a model folder. RecipeInvalid where it is missing, too large, or something that stands in for it. */
export async function readJsonText(path: string): Promise<string> {
  const info = await stat(path).catch(() => null);
  if (!info?.isFile())
    throw new RunnerError(
      'RecipeInvalid',
      `${path} is missing${await why(dirname(path))}; name a folder that transformers saved`,
    );
  if (info.size > largestJson)
    throw new RunnerError('RecipeInvalid', `${path} has ${info.size} bytes; at most ${largestJson} are allowed`);
  const bytes = await readFile(path);
  const kind = foreignKind(bytes);
  if (kind !== null) throw new RunnerError('RecipeInvalid', `${path} is ${kind}`);
  return bytes.toString('utf8');
}

/** Whoever mistyped the folder should not look for a file in it. */
async function why(folder: string): Promise<string> {
  const info = await stat(folder).catch(() => null);
  if (info === null) return `: there is no folder ${folder}`;
  return info.isDirectory() ? '' : `: ${folder} is a file`;
}

/** A JSON file that holds an object. */
export async function readJsonFile(path: string): Promise<Record<string, unknown>> {
  const text = await readJsonText(path);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RunnerError('RecipeInvalid', `${path} is not JSON`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new RunnerError('RecipeInvalid', `${path} is not a JSON object`);
}
