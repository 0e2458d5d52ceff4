import { z } from 'zod';
import { isRunnerError, RunnerError } from '../../runtime/errors.ts';
import type { ObjectStore } from '../../storage/object-store.ts';

/** What a filter may be called: a part of a key. */
export const filterName = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,60}$/;

/** Where the document of a filter lies. Its weights lie below `filters/NAME/`. */
export const filterKey = (name: string): string => `filters/${name}.json`;

const sha = z.string().regex(/^[0-9a-f]{64}$/);
const counts = z.record(z.string(), z.int().min(0));

/** One data shard of a filter, and the weights of its examples. */
const shardSchema = z.object({
  key: z.string(),
  etag: z.string(),
  examples: z.int().min(0),
  kept: z.number().min(0),
  weights: z.object({
    key: z.string(),
    bytes: z.int().min(0),
    etag: z.string(),
    offset: z.int().min(0),
    sha256: sha,
  }),
});

/** `filters/NAME.json`: what a filter came to, and where its weights lie; some 450 bytes a shard. */
const documentSchema = z.object({
  version: z.literal(1),
  name: z.string().regex(filterName),
  /** As it was started, with every default. */
  settings: z.record(z.string(), z.unknown()),
  /** sha256 of settings, models and shards. */
  filter: sha,
  /** Files of the shards that make an example. */
  members: z.object({ meta: z.string(), class: z.string().optional() }),
  examples: z.int().min(0),
  /** Sum of all weights: how many examples remain, exact where no weight is a part. */
  kept: z.number().min(0),
  /** Examples that are left out, by the step of the filter and its reason; those that can't be used; and counts of steps. */
  masked: counts,
  broken: z.int().min(0),
  notes: z.record(z.string(), z.number()),
  shards: z.array(shardSchema),
});

export type FilterDocument = z.infer<typeof documentSchema>;

/** The newest document of a filter. DataContract where there is none, or it is damaged. */
export async function readFilter(store: Pick<ObjectStore, 'bucket' | 'get'>, name: string): Promise<FilterDocument> {
  const key = filterKey(name);
  let text: string;
  try {
    text = (await store.get(key)).toString('utf8');
  } catch (error) {
    if (!isRunnerError(error, 'ObjectMissing')) throw error;
    throw new RunnerError(
      'DataContract',
      `filter ${name}: s3://${store.bucket}/${key} is missing; npm run siglip2 -- data filter makes it, src/filtering/README.md says how`,
    );
  }
  const found = parseFilterDocument(text);
  if (found?.name === name) return found;
  throw new RunnerError(
    'DataContract',
    `filter ${name}: s3://${store.bucket}/${key} is no document of that filter; npm run siglip2 -- data filter writes it anew`,
  );
}

/** Null where it is none. */
export function parseFilterDocument(text: string): FilterDocument | null {
  return documentSchema.safeParse(jsonOf(text)).data ?? null;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
