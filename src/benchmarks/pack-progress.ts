import { z } from 'zod';
import type { Dropped } from '../packing/types.ts';
import { RunnerError } from '../runtime/errors.ts';
import { canonicalJson } from '../runtime/hash.ts';
import { jsonAt } from '../storage/json-at.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Kind, OpenOptions } from './open.ts';

/** Where a packed data set lies: shards, report and lists below its prefix, and until it is done what each shard came to. */
export const benchmarkKeys = (to: string) => ({
  report: `${to}/benchmark.json`,
  settings: `${to}/_benchmark/settings.json`,
  work: `${to}/_benchmark/`,
  classes: `${to}/classes.txt`,
  templates: `${to}/templates.txt`,
  categories: `${to}/categories.json`,
  shard: (n: number) => `${to}/${String(n).padStart(5, '0')}.tar`,
  done: (n: number) => `${to}/_benchmark/${String(n).padStart(5, '0')}.json`,
});

/** What the bytes depend on, beside the data. */
export interface PackedSettings extends OpenOptions {
  readonly kind: Kind;
  /** sha256 of lists that were given in the place of those of the data set. */
  readonly classes?: string;
  readonly templates?: string;
  readonly shardBytes: number;
  readonly shardExamples: number;
}

/** What a shard came to, and how far the data set was read then. */
export interface ShardDone {
  readonly read: number;
  /** A hash over the names of all that was read, from the first. */
  readonly names: string;
  readonly examples: number;
  readonly bytes: number;
  readonly sha256: string;
  /** Captions by language. */
  readonly captions: Readonly<Record<string, number>>;
  readonly leftOut: Dropped;
}

/** `benchmark.json`: of some kilobytes, whatever the data are. */
export interface BenchmarkReport {
  readonly version: 1;
  readonly settings: PackedSettings;
  readonly examples: number;
  readonly shards: number;
  readonly bytes: number;
  /** Over those of the shards, in their order. */
  readonly sha256: string;
  readonly classes: number | null;
  readonly templates: number | null;
  readonly captions: Readonly<Record<string, number>>;
  /** What can't be used, or not wholly, by reason; with names of some. */
  readonly leftOut: Dropped;
  readonly notes: readonly string[];
}

const doneSchema = z.object({
  read: z.int(),
  names: z.string(),
  examples: z.int(),
  bytes: z.int(),
  sha256: z.string(),
  captions: z.record(z.string(), z.int()),
  leftOut: z.record(z.string(), z.object({ pictures: z.int(), names: z.array(z.string()) })),
});
const reportSchema = z.looseObject({ version: z.literal(1), settings: z.looseObject({ kind: z.string() }) });

type Reads = Pick<ObjectStore, 'get' | 'head' | 'list'>;

/**
 * What lies below the prefix: the report of a pack that is done, or what an earlier one left. DataContract where it is of
 * other settings, or is something else.
 */
export async function readProgress(
  store: Reads,
  to: string,
  settings: PackedSettings,
): Promise<{ readonly report: BenchmarkReport } | { readonly shards: ShardDone[] }> {
  const keys = benchmarkKeys(to);
  const report = reportSchema.safeParse(await jsonAt(store, keys.report));
  if (report.success) {
    requireSame(to, report.data.settings, settings);
    return { report: report.data as unknown as BenchmarkReport };
  }
  const begun = await jsonAt(store, keys.settings);
  if (begun !== null) requireSame(to, begun, settings);
  else
    for await (const { key } of store.list(`${to}/`))
      throw new RunnerError(
        'DataContract',
        `${to}/ holds something else, ${key} for one: name an empty prefix, or take away what lies there`,
      );
  const shards: ShardDone[] = [];
  for (;;) {
    const done = doneSchema.safeParse(await jsonAt(store, keys.done(shards.length)));
    if (!done.success) return { shards };
    const shard = await store.head(keys.shard(shards.length));
    if (shard?.bytes !== done.data.bytes) return { shards };
    shards.push(done.data);
  }
}

function requireSame(to: string, before: unknown, settings: PackedSettings): void {
  if (canonicalJson(before) === canonicalJson(settings)) return;
  throw new RunnerError(
    'DataContract',
    `${to}/ holds a data set that was packed by other settings, ${canonicalJson(before).slice(0, 300)}: name another prefix, or take away what lies there`,
  );
}
