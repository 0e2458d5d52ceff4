import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { metricsPrefix, namePattern, runPrefix } from '../checkpoint/keys.ts';
import { RunnerError } from '../runtime/errors.ts';
import { makeFolder } from '../runtime/make-folder.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/**
 * Fetches the figures of a run: `folder/<phase>/events.out.tfevents.*` for TensorBoard, `folder/<phase>.jsonl` for
 * everything else. What is there already is written anew. Returns the number of pieces.
 */
export async function fetchMetrics(store: ObjectStore, run: string, folder: string): Promise<number> {
  const phases = new Set<string>();
  const prefix = runPrefix(run);
  const pieces: { phase: string; key: string }[] = [];
  for await (const { key } of store.list(prefix)) {
    const phase = key.slice(prefix.length).split('/', 1)[0]!;
    if (namePattern.test(phase) && key.startsWith(metricsPrefix({ run, phase }))) pieces.push({ phase, key });
  }
  if (pieces.length === 0)
    throw new RunnerError(
      'ObjectMissing',
      `bucket ${store.bucket} has no figures of ${run}; a run writes the first ones with its first checkpoint`,
    );
  makeFolder(folder, 'name');
  for (const { phase, key } of pieces) {
    const into = join(folder, phase);
    const name = basename(key);
    if (!phases.has(phase)) {
      phases.add(phase);
      await mkdir(into, { recursive: true });
      await rm(`${into}.jsonl`, { force: true });
    }
    if (!namePattern.test(name)) continue;
    const bytes = await store.get(key);
    if (name.endsWith('.jsonl')) await appendFile(`${into}.jsonl`, bytes);
    else await writeFile(join(into, name), bytes);
  }
  return pieces.length;
}
