import { rename, rm } from 'node:fs/promises';

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
