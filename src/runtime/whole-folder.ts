import { readdir, rename, rm, stat } from 'node:fs/promises';
import { RunnerError } from './errors.ts';

/**
 * Makes a folder that appears when it is whole: `write` fills the folder that it is given, beside `out`, which is not there or
 * empty. What a killed one has left is taken away first, and what fails leaves nothing.
 */
export async function wholeFolder<T>(out: string, write: (part: string) => Promise<T>): Promise<T> {
  const part = `${out.replace(/\/+$/, '')}.part`;
  try {
    await rm(part, { recursive: true, force: true });
    const made = await write(part);
    await rename(part, out);
    return made;
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

/** RecipeInvalid where something is at `out`; an empty folder is nothing. Asked before what takes long, not only before writing. */
export async function requireNothingAt(out: string): Promise<void> {
  const info = await stat(out).catch(() => null);
  if (info === null || (info.isDirectory() && (await readdir(out)).length === 0)) return;
  throw new RunnerError('RecipeInvalid', `${out} is there already; name a folder that is not, or delete it`);
}
