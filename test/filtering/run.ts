import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attempt, Dependencies } from '../../activities/dependencies.ts';
import { keepDocumentBelow } from '../../activities/documents.ts';
import { filterStep } from '../../activities/filter-step.ts';
import { planFilter } from '../../activities/plan-filter.ts';
import { reportFilter } from '../../activities/report-filter.ts';
import type { FilterBegun } from '../../activities/types.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { readFilter } from '../../src/data/index/filter-document.ts';
import { decodeWeights } from '../../src/data/index/weight-file.ts';
import type { EmbeddedShard } from '../../src/filtering/agreement.ts';
import { keptEmbeddings } from '../../src/filtering/embed.ts';
import { type FilterPlan, planFilter as resolveFilter, stagesOf } from '../../src/filtering/plan.ts';
import type { FilterReport } from '../../src/filtering/report.ts';
import { parseFilter } from '../../src/filtering/settings.ts';
import { keysOf } from '../../src/filtering/step.ts';
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
    return await finish(deps, await planFilter(deps, input, attempt()));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

async function finish(deps: Dependencies, { stages, ...begun }: FilterBegun): Promise<FilterReport> {
  for (const { step, parts } of stages)
    for (let part = 0; step !== 'embed' && part < parts; part++)
      await filterStep(deps, { begun, step, part }, attempt());
  return reportFilter(deps, begun, attempt());
}

/** The same of a filter whose model is none: `embed` says what it makes of the examples of a shard. */
export async function runEmbedded(
  store: ObjectStore,
  input: object,
  width: number,
  embed: (shard: number) => EmbeddedShard,
): Promise<{ readonly report: FilterReport; readonly plan: FilterPlan }> {
  const scratch = mkdtempSync(join(tmpdir(), 'filter-'));
  const deps: Dependencies = { store, scratch, log: { info() {}, warn() {} }, codeVersion: '0' };
  try {
    const settings = parseFilter({ model: { run: 'made', phase: 'up' }, ...input });
    const tower = { width, depth: 1, mlp: 1, heads: 1 };
    const config = {
      vision: { ...tower, patch: 8, resolution: 16 },
      text: { ...tower, length: 8, vocabulary: 256_000 },
    };
    const checkpoint = { sha256: 'a'.repeat(64), run: 'made', phase: 'up', revision: 0, step: 0 } as CheckpointRef;
    const plan = await resolveFilter(store, settings, { name: 'made/up@0', checkpoint, config });
    const keys = keysOf(plan);
    for (const part of plan.index.shards.keys()) {
      const { cosines, rows, sample } = keptEmbeddings(plan, part, embed(part));
      await store.put(keys.cosines(part), cosines);
      if (rows) await store.put(keys.rows(part), rows);
      if (sample) await store.put(keys.sample(part), sample);
    }
    const document = await keepDocumentBelow(store, `filters/${settings.name}/plans/`, 'plan', plan);
    const begun = { document, name: settings.name, filter: plan.filter, stages: stagesOf(plan) };
    return { report: await finish(deps, begun), plan };
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
