import { createHash } from 'node:crypto';
import { join } from 'node:path';
import pMap from 'p-map';
import { embeddingKey, partListKey } from '../src/embeddings/keys.ts';
import {
  type EmbeddingPart,
  type Embeddings,
  findEmbeddings,
  lineOf,
  manifestBytes,
  partsOfList,
} from '../src/embeddings/manifest.ts';
import type { EmbeddingPlan } from '../src/embeddings/plan.ts';
import { StoredPart } from '../src/embeddings/stored-part.ts';
import { featureKey, type ImageSpec, imageParts, specHash } from '../src/evaluate/features/spec.ts';
import { viewName } from '../src/evaluate/features/view.ts';
import { embeddingWidth } from '../src/model/sizes.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { sha256 } from '../src/runtime/hash.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import type { EmbeddingsBegun, EmbeddingsReport } from './types/embeddings.ts';

/** Headers that are read side by side: 0.6 MB each. */
const readAtOnce = 16;

/**
 * Commits embeddings: lists of their parts, each as it lies there, and at last the manifest, which says that they are whole.
 * Doing it again writes the same bytes.
 */
export async function sealEmbeddings(
  { store, scratch, log }: Dependencies,
  { document }: Pick<EmbeddingsBegun, 'document'>,
  attempt: Attempt,
): Promise<EmbeddingsReport> {
  let listed = 0;
  let of = 0;
  const heart = beat(attempt, () => ({ doing: `listing parts: ${listed} of ${of}` }));
  try {
    const plan = await readDocumentAs<EmbeddingPlan>(store, document, join(scratch, 'documents'));
    const { name } = plan.settings;
    const before = await findEmbeddings(store, name);
    if (before?.id === plan.id) return reportOf(before);
    of = imageParts(plan.test.spec);
    const totals = { examples: 0, skipped: 0, bytes: 0, texts: {} as Record<string, number> };
    const lists = createHash('sha256');
    let head: Embeddings['model']['head'] | undefined;
    for (let list = 0; list * partsOfList < of; list++) {
      const first = list * partsOfList;
      const numbers = Array.from({ length: Math.min(partsOfList, of - first) }, (_, i) => first + i);
      const parts = await pMap(
        numbers,
        async (part) => {
          attempt.signal.throwIfAborted();
          const found = await partOf(store, plan, part);
          listed++;
          return found;
        },
        { concurrency: readAtOnce },
      );
      for (const { entry } of parts) addTo(totals, entry);
      head ??= parts[0]!.head;
      const body = Buffer.from(parts.map(({ entry }) => lineOf(entry)).join(''));
      lists.update(body);
      await store.put(partListKey(name, plan.id, list), body, { contentType: 'application/jsonl' });
    }
    const manifest = manifestOf(plan, { ...totals, parts: of, lists: lists.digest('hex') }, head!);
    await store.put(embeddingKey(name), manifestBytes(manifest), { contentType: 'application/json' });
    log.info({ embeddings: name, parts: of, examples: totals.examples }, 'embeddings committed');
    return reportOf(manifest);
  } finally {
    heart.stop();
  }
}

async function partOf(store: ObjectStore, { test: { spec, at }, settings }: EmbeddingPlan, part: number) {
  const key = featureKey(spec, part, at);
  const info = await store.head(key);
  const missing = (problem: string) =>
    new RunnerError(
      'DataContract',
      `s3://${store.bucket}/${key}, part ${part} of embeddings ${settings.name}, ${problem}; start siglip2Embed again with the same settings, which makes it anew`,
    );
  if (!info) throw missing('is missing');
  const { bytes, etag } = info;
  const stored = await StoredPart.open(store, { key, bytes, etag });
  const { facts, data } = stored;
  if (facts.spec !== specHash(spec) || facts.part !== part) throw missing('was made by other settings: delete it');
  const texts = Object.fromEntries(
    (spec.captions?.languages ?? []).map((language) => [language, stored.shape(`captions/${language}`)[0]!]),
  );
  const entry: EmbeddingPart = {
    ...{ key, bytes, etag, examples: facts.examples.length, skipped: facts.skipped.length, texts, data },
  };
  return { entry, head: facts.head! };
}

function addTo(
  totals: { examples: number; skipped: number; bytes: number; texts: Record<string, number> },
  { examples, skipped, bytes, texts }: EmbeddingPart,
): void {
  totals.examples += examples;
  totals.skipped += skipped;
  totals.bytes += bytes;
  for (const [language, count] of Object.entries(texts)) totals.texts[language] = (totals.texts[language] ?? 0) + count;
}

function manifestOf(
  { id, settings, model, test: { spec }, codeVersion }: EmbeddingPlan,
  totals: Pick<Embeddings, 'examples' | 'skipped' | 'bytes' | 'texts' | 'parts' | 'lists'>,
  head: Embeddings['model']['head'],
): Embeddings {
  const { config } = spec.model;
  const [view = null] = spec.views;
  const named = (kind: string, wanted: boolean | undefined) =>
    view === null || !wanted ? null : `${kind}/${viewName(config, view)}`;
  return {
    version: 1,
    ...{ name: settings.name, id, settings, model: { ...model, head } },
    data: { prefix: [settings.data].flat().join(', '), fingerprint: spec.data.fingerprint },
    ...{ resize: spec.resize, view, width: embeddingWidth(config) },
    tensors: {
      images: named('pooled', true),
      patches: named('patches', spec.patches),
      grid: named('grid', spec.grid),
      texts: textTensors(spec),
    },
    ...totals,
    codeVersion,
  };
}

const textTensors = ({ captions }: ImageSpec): Embeddings['tensors']['texts'] =>
  Object.fromEntries(
    (captions?.languages ?? []).map((language) => [
      language,
      { rows: `captions/${language}`, of: `captions-of/${language}` },
    ]),
  );

function reportOf(manifest: Embeddings): EmbeddingsReport {
  const { name, model, examples, skipped, texts, width, parts, bytes } = manifest;
  const own = { name, key: embeddingKey(name), sha256: sha256(manifestBytes(manifest)), model: model.name };
  return { ...own, examples, skipped, texts, width, parts, bytes };
}
