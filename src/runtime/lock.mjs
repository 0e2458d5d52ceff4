import { mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * One at a time on this machine, by a file that names its holder. Plain JavaScript without dependencies,
 * since `npm ci` itself runs under it. A holder is gone when its process is; where that can't be seen (a
 * folder shared between containers), when it has not touched its file for two minutes.
 */
const beatMs = 10_000;
const silentMs = 120_000;

/** What `/proc` says of when a process began: with its id it names the process for good. */
export function processStart(pid) {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; only its parent has not asked yet.
    return fields[0] === 'Z' || fields[0] === 'X' ? null : fields[19];
  } catch {
    return null;
  }
}

/** Names what process ids count on: the system since it began, and the container. `unknown` where it can't be told. */
export function machine() {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return 'unknown';
  }
}

const me = () => JSON.stringify({ pid: process.pid, start: processStart(process.pid), machine: machine() });

async function isStale(file) {
  let text;
  let touched;
  try {
    text = await readFile(file, 'utf8');
    touched = (await stat(file)).mtimeMs;
  } catch {
    return false;
  }
  try {
    const holder = JSON.parse(text);
    if (holder.machine === machine() && holder.machine !== 'unknown') return processStart(holder.pid) !== holder.start;
  } catch {
    // Its holder died between making the file and writing its name, or is about to write it.
    return Date.now() - touched > beatMs;
  }
  return Date.now() - touched > silentMs;
}

/** Makes the file, or says that another holds it: null. */
async function take(file) {
  try {
    const handle = await open(file, 'wx', 0o600);
    await handle.writeFile(me());
    await handle.close();
    return me();
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return null;
  }
}

/** Two that both see a stale file must not both remove one: the removal has a lock of its own. */
async function removeStale(file) {
  const guard = `${file}.stale`;
  if ((await take(guard)) === null) {
    const age = await stat(guard).then(
      (found) => Date.now() - found.mtimeMs,
      () => 0,
    );
    if (age > beatMs) await rm(guard, { force: true });
    return;
  }
  try {
    if (await isStale(file)) await rm(file, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

/** Takes the lock if it is free; otherwise null. The answer's `release` gives it back. */
export async function tryLock(file) {
  mkdirSync(dirname(file), { recursive: true });
  if (await isStale(file)) await removeStale(file);
  const mine = await take(file);
  if (mine === null) return null;
  const beat = setInterval(() => utimes(file, new Date(), new Date()).catch(() => {}), beatMs);
  beat.unref();
  return {
    async release() {
      clearInterval(beat);
      const text = await readFile(file, 'utf8').catch(() => null);
      if (text === mine) await rm(file, { force: true });
    },
  };
}

/** Runs `work` while holding the lock; `onWait` is told once when another holds it. */
export async function withLock(file, work, onWait = () => {}) {
  let lock = await tryLock(file);
  if (!lock) onWait();
  while (!lock) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    lock = await tryLock(file);
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
