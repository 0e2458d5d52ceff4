import { z } from 'zod';
import { isRunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { checkpointSha256 } from './identity.ts';
import { attemptPrefix, namePattern } from './keys.ts';
import type { CheckpointRef, Commit, Manifest } from './types.ts';

/**
 * The JSON documents in the bucket. Whoever may write to the bucket may write these, so nothing in them is believed
 * before it was checked: names can't leave their prefix, and hashes and positions must agree with one another.
 */

const name = z.string().regex(namePattern);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().min(0);
/** A file within a checkpoint: segments of plain characters, none of them hidden or .. */
const path = z
  .string()
  .max(500)
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/);
const file = z.object({ path, bytes: count, sha256: hash });
const files = z.array(file).max(10_000);
const figures = z.record(z.string(), z.number());
const metrics = z.object({
  loss: z.number(),
  objectives: figures.optional(),
  figures: figures.optional(),
  since: z.object({ steps: z.int().min(1), sums: figures, maxLoss: z.number() }).optional(),
  examplesPerSecond: z.number(),
  dataWaitShare: z.number(),
});

/** What is told of steps, in a manifest and in what a replica hands in. */
export const trainedShape = {
  skipped: z.array(z.object({ shard: z.string(), name: z.string(), reason: z.string() })),
  filtered: count.optional(),
  metrics,
  cpu: z.object({ threads: z.int().min(1), kind: z.string().max(200) }).optional(),
  precision: z.enum(['f32', 'bf16']).optional(),
  xla: z.enum(['off', 'on']).optional(),
};

const position = { step: count, examples: count };
const place = { ...position, run: name, phase: name, revision: count };
const referenceSchema = z.object({ ...place, prefix: z.string(), manifestSha256: hash, sha256: hash });

const manifestSchema = z.object({
  ...place,
  version: z.literal(1),
  prefix: z.string(),
  state: files.min(1),
  sidecars: files,
  sha256: hash,
  parent: referenceSchema.nullable(),
  recipeHash: z.string().max(200),
  codeVersion: z.string().max(200),
  dataFingerprint: z.string().max(200),
  settingsSha256: hash.optional(),
  ...trainedShape,
  round: z
    .object({
      from: count,
      slots: z.int().min(1),
      members: z
        .array(
          z.object({
            ...{ slot: count, examples: count, steps: count, sha256: hash, attempt: name },
            pace: z.number().positive().optional(),
          }),
        )
        .min(1)
        .max(10_000),
      lengths: z.array(z.int().min(1)).min(1).max(10_000).optional(),
      late: z.array(count).max(10_000),
      merged: z
        .array(
          z.object({ path: z.string().regex(/^[a-z-]+\.safetensors$/), bytes: count, sha256: hash, attempt: name }),
        )
        .max(10)
        .optional(),
    })
    .optional(),
  resize: z.enum(['antialias', 'big_vision']).optional(),
  attempt: name,
  created: z.iso.datetime(),
});

const commitSchema = z.object({
  ...referenceSchema.shape,
  version: z.literal(1),
  inputHash: hash,
  attempt: name,
  metrics,
  committed: z.iso.datetime(),
});

const latestSchema = z.object({ ...referenceSchema.shape, version: z.literal(1), commit: z.string() });
const runSchema = z.object({ version: z.literal(1), run: name, recipeHash: z.string().max(200) });

const endSchema = latestSchema;

export type Latest = z.infer<typeof latestSchema>;

/** A document, or the one sentence that says why it is none. */
export type Parsed<T> =
  | { readonly value: T; readonly problem?: undefined }
  | { readonly value?: undefined; readonly problem: string };

export function parseManifest(bytes: Uint8Array): Parsed<Manifest> {
  const parsed = parseWith(manifestSchema, bytes);
  if (parsed.problem !== undefined) return parsed;
  const manifest = parsed.value;
  const paths = new Set(['manifest.json']);
  for (const { path } of [...manifest.state, ...manifest.sidecars]) {
    if (paths.has(path)) return { problem: `it names ${path} twice` };
    paths.add(path);
  }
  for (const path of paths)
    for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1))
      if (paths.has(path.slice(0, end))) return { problem: `${path.slice(0, end)} is both a file and a folder` };
  if (manifest.prefix !== attemptPrefix(manifest)) return { problem: 'its prefix is not that of its attempt' };
  if (manifest.sha256 !== checkpointSha256(manifest.state))
    return { problem: 'its sha256 is not that of its state files' };
  return parsed;
}

export function parseCommit(bytes: Uint8Array): Parsed<Commit> {
  const parsed = parseWith(commitSchema, bytes);
  if (parsed.problem !== undefined) return parsed;
  if (parsed.value.prefix !== attemptPrefix(parsed.value)) return { problem: 'its prefix is not that of its attempt' };
  return parsed;
}

export function parseLatest(bytes: Uint8Array): Parsed<Latest> {
  return parseWith(latestSchema, bytes);
}

export function parseEnd(bytes: Uint8Array): Parsed<z.infer<typeof endSchema>> {
  return parseWith(endSchema, bytes);
}

export function parseRun(bytes: Uint8Array): Parsed<z.infer<typeof runSchema>> {
  return parseWith(runSchema, bytes);
}

/** Checkpoints by name. */
export function parseReferences(bytes: Uint8Array): Parsed<Record<string, CheckpointRef>> {
  return parseWith(z.record(z.string(), referenceSchema), bytes);
}

/** The reference within a commit, without the rest of it. */
export function toRef(commit: CheckpointRef): CheckpointRef {
  return referenceSchema.parse(commit);
}

/** JSON as it lies in the bucket: for people too, so with line breaks. */
export function toDocument(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}

/** Larger documents are not read at all: a manifest with 10,000 files and as many skips is far below. */
const largest = 16 * 1024 * 1024;

/**
 * Bytes of a small object; null when it is missing, and a problem when it is larger than any document of ours, or the
 * store says itself that its bytes are not those that were written.
 */
export async function readDocument(
  store: ObjectStore,
  key: string,
): Promise<{ bytes: Buffer; etag: string } | { problem: string; etag: string } | null> {
  try {
    const found = await store.small(key, largest);
    if (!found) return null;
    const { body, bytes, etag } = found;
    if (body) return { bytes: body, etag };
    return { problem: `it has ${bytes} bytes, and at most ${largest} are read`, etag };
  } catch (error) {
    if (!isRunnerError(error, 'DataContract')) throw error;
    return readDamaged(store, key);
  }
}

/** Who replaces what is damaged names it by its ETag, which is asked for first: of bytes that are read after it none are newer. */
async function readDamaged(store: ObjectStore, key: string) {
  const info = await store.head(key);
  if (!info) return null;
  const { etag } = info;
  try {
    return { bytes: await store.get(key, { etag }), etag };
  } catch (error) {
    if (isRunnerError(error, 'ObjectMissing')) return null;
    if (isRunnerError(error, 'DataContract')) return { problem: 'its bytes are not those of its checksum', etag };
    throw error;
  }
}

export function parseWith<T>(schema: z.ZodType<T>, bytes: Uint8Array): Parsed<T> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return { problem: 'it is not JSON' };
  }
  const result = schema.safeParse(json);
  if (result.success) return { value: result.data };
  const issue = result.error.issues[0]!;
  return { problem: `${issue.path.join('.') || 'it'}: ${issue.message}` };
}
