import { rm, stat, utimes, writeFile } from 'node:fs/promises';

/** A thread may be ended in the middle of a fetch, and the next one waits for as long. */
const claimKeptMs = 2000;
const claimRenewedMs = 300;

/**
 * Does what one of all that share a folder is to do, where nobody else is at it: null otherwise, and the others look again. A
 * claim that has not been renewed is of a thread that was ended. Where one was only busy two do the same, which harms nothing.
 */
export async function whileClaimed<T>(claim: string, work: () => Promise<T>): Promise<{ readonly value: T } | null> {
  if (!(await claimed(claim))) return null;
  const renewed = setInterval(() => utimes(claim, new Date(), new Date()).catch(() => {}), claimRenewedMs);
  try {
    return { value: await work() };
  } finally {
    clearInterval(renewed);
    await rm(claim, { force: true });
  }
}

async function claimed(claim: string): Promise<boolean> {
  try {
    await writeFile(claim, '', { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const there = await stat(claim).catch(() => null);
  if (there && there.mtimeMs < Date.now() - claimKeptMs) await rm(claim, { force: true });
  return false;
}
