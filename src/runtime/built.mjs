import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Where the scripts that `infra/setup/build.mjs` compiled are. Plain JavaScript, since threads and commands begin with
 * it. A process that was started from a build starts others from the same one, so that an update of the clone never
 * mixes two versions of the code; without a build, or for a script that is not in it, everything runs from its source.
 */
let read = { folder: '', entries: {} };

function entriesOfBuild() {
  const folder = process.env.SIGLIP2_BUILD ?? '';
  if (folder !== read.folder) read = { folder, entries: readEntries(folder) };
  return read.entries;
}

function readEntries(folder) {
  try {
    const { scripts } = JSON.parse(readFileSync(join(folder, 'build.json'), 'utf8'));
    return Object.fromEntries(Object.entries(scripts).map(([from, to]) => [from, join(folder, to)]));
  } catch {
    // Swept, or not of this user: the sources are there.
    return {};
  }
}

/** The compiled form of the script with this address (`file:`), as an address, or null where there is none. */
export function builtOf(address) {
  const entries = entriesOfBuild();
  return Object.hasOwn(entries, address) ? pathToFileURL(entries[address]).href : null;
}

/** What Node is given to run the script at this path: flags for Node, and the file. */
export function startOf(path) {
  const built = builtOf(pathToFileURL(path).href);
  // What fails in a history or a log then names the line of the source: 0.2 s of a core at the start.
  if (built) return { flags: ['--enable-source-maps'], file: fileURLToPath(built) };
  return path.endsWith('.ts') ? sourceOf(path) : { flags: [], file: path };
}

/** The same for a script that may itself import others that no build has. */
export function sourceOf(path) {
  return { flags: ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href], file: path };
}
