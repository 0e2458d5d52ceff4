import { join } from 'node:path';
import pMap from 'p-map';
import { unpin } from '../src/checkpoint/pins.ts';
import { type FilterDocument, filterKey } from '../src/data/index/filter-document.ts';
import { memberKinds } from '../src/data/index/index-object.ts';
import { readWeightHeader } from '../src/data/index/weight-file.ts';
import { balanceNotes } from '../src/filtering/balance-step.ts';
import { type FilterKeys, filterPrefix, holderOf, isWorkKey } from '../src/filtering/keys.ts';
import { madeFilter, storedWeights } from '../src/filtering/made.ts';
import type { FilterPlan } from '../src/filtering/plan.ts';
import { type FilterReport, reportOf } from '../src/filtering/report.ts';
import { keysOf, readJson } from '../src/filtering/step.ts';
import type { Agreement } from '../src/filtering/steps.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { canonicalJson } from '../src/runtime/hash.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import type { FilterBegun } from './types/filter.ts';

const json = { contentType: 'application/json' } as const;

/** Says what a filter came to, gives it its name, and takes away what workers handed to one another. */
export async function reportFilter(
  { store, scratch }: Dependencies,
  { document, name }: Omit<FilterBegun, 'stages'>,
  attempt: Attempt,
): Promise<FilterReport> {
  const heart = beat(attempt, () => ({ doing: 'writing the report' }));
  try {
    const plan = await readDocumentAs<FilterPlan>(store, document, join(scratch, 'documents'));
    const keys = keysOf(plan);
    const there = await madeFilter(store, keys);
    const made = there ?? (await documentOf(store, keys, plan));
    const text = canonicalJson(made);
    if (!there) await store.put(keys.document, text, json);
    await store.put(filterKey(name), text, json);
    await removeWork(store, name);
    if (plan.model) await unpin(store, plan.model.checkpoint, holderOf(name));
    return reportOf(made);
  } finally {
    heart.stop();
  }
}

async function documentOf(store: ObjectStore, keys: FilterKeys, plan: FilterPlan): Promise<FilterDocument> {
  const { settings, index, filter } = plan;
  const files = await storedWeights(store, keys);
  const headers = await pMap(
    index.shards,
    async ({ key }, n) => {
      const file = files.get(keys.weights(n));
      if (file) return readWeightHeader(store, file);
      throw new RunnerError(
        'DataContract',
        `${keys.weights(n)}, the weights of ${key}, is gone: start the filter again`,
      );
    },
    { concurrency: 16 },
  );
  const masked: Record<string, number> = {};
  for (const header of headers)
    for (const [reason, count] of Object.entries(header.masked)) masked[reason] = (masked[reason] ?? 0) + count;
  const sum = (of: (header: (typeof headers)[number]) => number) => headers.reduce((total, one) => total + of(one), 0);
  return {
    version: 1,
    name: settings.name,
    settings,
    filter,
    members: memberKinds(index.read),
    examples: index.examples,
    kept: sum(({ kept }) => kept),
    masked: Object.fromEntries(Object.entries(masked).sort(([a], [b]) => (a < b ? -1 : 1))),
    broken: sum(({ broken }) => broken),
    notes: await notesOf(store, keys, plan),
    shards: index.shards.map(({ key, etag, examples }, n) => {
      const { kept, ...file } = headers[n]!;
      const weights = { key: file.key, bytes: file.bytes, etag: file.etag, offset: file.offset, sha256: file.sha256 };
      return { key, etag, examples, kept, weights };
    }),
  };
}

/** What steps have to say beside the examples that they leave out. */
async function notesOf(store: ObjectStore, keys: FilterKeys, plan: FilterPlan): Promise<Record<string, number>> {
  const notes: Record<string, number> = {};
  if (plan.settings.agreement) {
    const { quantiles } = await readJson<Agreement>(store, keys.bound);
    for (const [percent, cosine] of Object.entries(quantiles))
      notes[`agreement: ${percent} have a cosine below`] = cosine;
  }
  for (const [step, of] of [
    ['duplicates', keys.pictures],
    ['embeddingDuplicates', keys.embeddings],
  ] as const) {
    if (!plan.settings[step]) continue;
    let crowded = 0;
    for (let k = 0; k < plan.partitions; k++)
      crowded += (await readJson<{ crowded: number }>(store, of.compared(k))).crowded;
    if (crowded > 0) notes[`${step}: not compared with all that are alike, since those are too many`] = crowded;
  }
  return plan.settings.balance ? { ...notes, ...(await balanceNotes(store, keys, plan)) } : notes;
}

/** Of every filter of this name: no two are at work at once. */
async function removeWork(store: ObjectStore, name: string): Promise<void> {
  const left: string[] = [];
  const remove = () => pMap(left.splice(0), (key) => store.delete(key), { concurrency: 16 });
  for await (const { key } of store.list(filterPrefix(name))) {
    if (isWorkKey(key)) left.push(key);
    if (left.length >= 1000) await remove();
  }
  await remove();
}
