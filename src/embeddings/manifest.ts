import { createHash } from 'node:crypto';
import { z } from 'zod';
import { parseWith, readDocument, toDocument, toRef } from '../checkpoint/documents.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { embeddingKey, partListKey } from './keys.ts';
import { embeddingSettingsSchema } from './settings.ts';

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().min(0);
const counts = z.record(z.string(), count);

/** `embeddings/NAME.json`: what embeddings are, as large for a hundred million examples as for ten. */
const manifestSchema = z.object({
  version: z.literal(1),
  name: z.string(),
  /** First 16 of a hash of all that the rows depend on. */
  id: z.string().regex(/^[0-9a-f]{16}$/),
  settings: embeddingSettingsSchema,
  model: z.object({
    name: z.string(),
    checkpoint: z.unknown().transform((value) => toRef(value as Parameters<typeof toRef>[0])),
    /** A pair has the logit exp(logitScale) cosine + logitBias. */
    head: z.object({ logitScale: z.number(), logitBias: z.number() }),
  }),
  data: z.object({ prefix: z.string(), fingerprint: hash }),
  resize: z.enum(['antialias', 'big_vision']),
  /** Side of the squares in pixels, or of NaFlex a number of patches; null: no pictures. */
  view: z.int().min(1).nullable(),
  /** Numbers of a row. */
  width: z.int().min(1),
  /** Names in each part: of pictures, of their patches, of the texts of a language, and of the pictures that these are of. */
  tensors: z.object({
    images: z.string().nullable(),
    patches: z.string().nullable(),
    grid: z.string().nullable(),
    texts: z.record(z.string(), z.object({ rows: z.string(), of: z.string() })),
  }),
  /** Examples with rows, and members of the shards that could not be used. */
  examples: count,
  skipped: count,
  /** By language. */
  texts: counts,
  parts: z.int().min(1),
  bytes: count,
  /** sha256 over the lines of all lists of parts. */
  lists: hash,
  codeVersion: z.string(),
});
export type Embeddings = z.infer<typeof manifestSchema>;

/** As it lies in the bucket: with the names in one order, wherever it comes from. */
export const manifestBytes = (embeddings: Embeddings): Buffer => toDocument(manifestSchema.parse(embeddings));

/** A line of a list: a part as it was when the embeddings were committed. */
const partSchema = z.object({
  key: z.string(),
  bytes: count,
  etag: z.string(),
  examples: count,
  skipped: count,
  texts: counts,
  /** Of its tensors, one after another. */
  data: hash,
});
export type EmbeddingPart = z.infer<typeof partSchema>;

/** Parts of a list: 0.4 MB. */
export const partsOfList = 1000;

export const lineOf = (part: EmbeddingPart): string => `${JSON.stringify(part)}\n`;

/** What a person does where embeddings are not what was committed. */
const again = (name: string) =>
  `npm run siglip2 -- rm embeddings/${name} --yes, and make them again with data embed, or its workflow siglip2Embed`;

/** The embeddings of a name, or null. DataContract where the document is damaged. */
export async function findEmbeddings(store: ObjectStore, name: string): Promise<Embeddings | null> {
  const key = embeddingKey(name);
  const found = await readDocument(store, key);
  if (!found) return null;
  const { value, problem } = 'bytes' in found ? parseWith(manifestSchema, found.bytes) : { problem: found.problem };
  if (value?.name === name) return value;
  throw new RunnerError(
    'DataContract',
    `s3://${store.bucket}/${key} is not what was committed (${problem ?? 'it has another name'}); ${again(name)}`,
  );
}

/** ObjectMissing where there is none of that name. */
export async function readEmbeddings(store: ObjectStore, name: string): Promise<Embeddings> {
  const found = await findEmbeddings(store, name);
  if (found) return found;
  throw new RunnerError(
    'ObjectMissing',
    `there are no embeddings ${name} in bucket ${store.bucket}; npm run siglip2 -- data embed ${name} PREFIX --model RUN/PHASE makes them, and ls shows what is there`,
  );
}

/** The parts in their order, a list at a time. DataContract where the lists are not those that were committed. */
export async function* partsOf(
  store: ObjectStore,
  { name, id, parts, lists }: Embeddings,
): AsyncGenerator<EmbeddingPart> {
  const all = createHash('sha256');
  const damaged = (key: string) =>
    new RunnerError('DataContract', `s3://${store.bucket}/${key} is not what was committed; ${again(name)}`);
  let left = parts;
  for (let list = 0; left > 0; list++) {
    const key = partListKey(name, id, list);
    const found = await readDocument(store, key);
    if (!found || !('bytes' in found)) throw damaged(key);
    all.update(found.bytes);
    const lines = found.bytes.toString('utf8').trimEnd().split('\n');
    const expected = Math.min(left, partsOfList);
    left -= expected;
    const some = lines.map((line) => parseWith(partSchema, Buffer.from(line)).value);
    if (some.length !== expected || some.includes(undefined)) throw damaged(key);
    // Nothing of the last list is used before all are known to be right.
    if (left === 0 && all.digest('hex') !== lists) throw damaged(key);
    yield* some as EmbeddingPart[];
  }
}
