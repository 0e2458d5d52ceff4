import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from '../runtime/lock.mjs';
import { closedEnd, closeLeft, openEnd } from './segment-file.ts';
import type { Say, Sender } from './sender.ts';

/**
 * Sends what workers left on this disk that are gone: killed, or ended while the bucket was away. Who is gone, the lock
 * in each journal tells, by its process on this machine, and by two minutes of silence where that is another container
 * or was before a restart. Whoever gets the lock is the only one who sends.
 */
export async function sendLeft(parent: string, own: string, sender: Sender, say: Say): Promise<void> {
  for (const name of existsSync(parent) ? readdirSync(parent) : []) {
    const folder = join(parent, name);
    if (folder === own) continue;
    const lock = await tryLock(join(folder, 'lock'));
    if (lock) void sendJournal(folder, sender, say).finally(() => lock.release());
  }
}

async function sendJournal(folder: string, sender: Sender, say: Say): Promise<void> {
  const files = readdirSync(folder).sort();
  const killed = files.filter((file) => file.endsWith(openEnd)).map((file) => closeAndRemove(join(folder, file)));
  const closed = files.filter((file) => file.endsWith(closedEnd)).map((file) => join(folder, file));
  const paths = [...new Set([...closed, ...killed])];
  if (paths.length > 0)
    say('info', { folder, segments: paths.length }, 'the logs of a worker that is gone are sent to the bucket');
  await Promise.all(paths.map((path) => sender.add(path)));
  rmSync(folder, { recursive: true, force: true });
}

function closeAndRemove(path: string): string {
  const closed = closeLeft(path);
  rmSync(path, { force: true });
  return closed;
}
