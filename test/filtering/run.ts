import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attempt, Dependencies } from '../../activities/dependencies.ts';
import { filterStep } from '../../activities/filter-step.ts';
import { planFilter } from '../../activities/plan-filter.ts';
import { reportFilter } from '../../activities/report-filter.ts';
import { readFilter } from '../../src/data/index/filter-document.ts';
import { decodeWeights } from '../../src/data/index/weight-file.ts';
import type { FilterReport } from '../../src/filtering/report.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';

let attempts = 0;
const attempt = (): Attempt => ({
  id: `filter-${++attempts}`,
  number: 1,
  signal: new AbortController().signal,
  heartbeat() {},
});

/** The steps of a filter one after another, as the workflow takes them. */
export async function runFilter(store: ObjectStore, input: unknown): Promise<FilterReport> {
  const scratch = mkdtempSync(join(tmpdir(), 'filter-'));
  const deps: Dependencies = { store, scratch, log: { info() {}, warn() {} }, codeVersion: '0' };
  try {
    const { stages, ...begun } = await planFilter(deps, input, attempt());
    for (const { step, parts } of stages)
      for (let part = 0; part < parts; part++) await filterStep(deps, { begun, step, part }, attempt());
    return await reportFilter(deps, begun, attempt());
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The weights that a filter gave the examples of each shard. */
export async function weightsOf(store: ObjectStore, name: string): Promise<Record<string, number[]>> {
  const { shards } = await readFilter(store, name);
  const all: Record<string, number[]> = {};
  for (const { key, weights } of shards)
    all[key] = [...decodeWeights(await store.get(weights.key), weights.key).weights];
  return all;
}
