import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { metricsPrefix, type PhaseKey } from '../checkpoint/keys.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { pieceName } from './series.ts';

/** Puts the reports of a snapshot beside the figures of its phase, named after the commit. */
export async function keepReports(
  store: ObjectStore,
  at: PhaseKey & { revision: number; step: number },
  { folder, reports }: { readonly folder: string; readonly reports: readonly string[] },
): Promise<void> {
  for (const name of reports) {
    const key = `${metricsPrefix(at)}${pieceName(at)}-${name}`;
    const contentType = name.endsWith('.json') ? 'application/json' : 'text/html; charset=utf-8';
    await store.put(key, await readFile(join(folder, name)), { contentType });
  }
}
