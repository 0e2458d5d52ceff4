import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { restoreCheckpoint } from '../checkpoint/restore.ts';
import { CorruptExample } from '../data/example/corrupt-example.ts';
import { decodeInTurn } from '../data/example/decode-in-turn.ts';
import type { Pixels } from '../data/example/pixels.ts';
import { loadTokenizer, rulesOf } from '../data/example/tokenizer.ts';
import { naflexPatches } from '../data/views/naflex-resize.ts';
import { squarePixels } from '../data/views/preprocess.ts';
import { type Embeddings, readEmbeddings } from '../embeddings/manifest.ts';
import { blocksOf, type RowKind } from '../embeddings/rows.ts';
import { type Found, nearestRows } from '../embeddings/search.ts';
import { rowCount } from '../evaluate/numbers/matrix.ts';
import { tellingPause } from '../evaluate/numbers/pause.ts';
import { openEmbedder } from '../model/embed.ts';
import { heldModel } from '../plan/held-model.ts';
import { number } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import { makeOwnFolder } from '../runtime/make-folder.ts';
import { paths } from '../runtime/paths.ts';
import { nodeBackend } from '../runtime/tensorflow.ts';
import type { ObjectStore } from '../storage/object-store.ts';

type Query = { readonly text: string } | { readonly image: string };

/**
 * What is nearest to a text or a picture among embeddings. The query is embedded by the very model that made them, and as it
 * saw the data. Errors: ObjectMissing, RecipeInvalid, DataContract, CheckpointDamaged.
 */
export async function searchEmbeddings(
  store: ObjectStore,
  name: string,
  query: Query,
  {
    top,
    among,
    say,
  }: { readonly top: number; readonly among: Exclude<RowKind, 'patches'>; readonly say: (text: string) => void },
): Promise<Found[]> {
  const embeddings = await readEmbeddings(store, name);
  const has = among === 'images' ? embeddings.tensors.images !== null : Object.keys(embeddings.texts).length > 0;
  if (!has)
    throw new RunnerError('RecipeInvalid', `embeddings ${name} have no ${among}: --among takes what was embedded`);
  const row = await embedded(store, embeddings, query);
  const device = nodeBackend().isUsingGpuDevice ? 'gpu' : 'cpu';
  let looked = 0;
  const pause = tellingPause(() => say(`${number(looked)} rows compared`), new AbortController().signal);
  async function* counted() {
    for await (const block of blocksOf(store, embeddings, among)) {
      yield block;
      looked += rowCount(block);
    }
  }
  return nearestRows(counted(), { width: embeddings.width, rows: row }, { top, device, pause });
}

/** (1, D) of length 1. */
async function embedded(store: ObjectStore, embeddings: Embeddings, query: Query): Promise<Float32Array> {
  const { checkpoint } = embeddings.model;
  const picture = 'image' in query ? await pictureIn(query.image) : null;
  const { model: config } = await heldModel(store, checkpoint);
  makeOwnFolder(paths().scratch, 'SIGLIP2_SCRATCH');
  // It stays for the next question; it is verified each time.
  const folder = join(paths().scratch, 'searched', checkpoint.sha256);
  await restoreCheckpoint(store, checkpoint, folder, { files: ({ path }) => path === 'model.safetensors' });
  const tokens = loadTokenizer(rulesOf(config)).tokenize('text' in query ? [query.text] : [''], config.text.length);
  const ids = [...new Set(tokens)].sort((a, b) => a - b);
  const { vision } = config;
  const patches = embeddings.view ?? 256;
  const embedder = await openEmbedder(folder, config, ids, vision.kind === 'naflex' ? { patches } : {});
  try {
    if (!picture) return embedder.texts(tokens);
    return vision.kind === 'naflex'
      ? embedder.patches([naflexPatches(picture, vision.patch, patches)])
      : embedder.images(squarePixels(picture, vision.resolution, embeddings.resize));
  } finally {
    embedder.dispose();
  }
}

/** As pictures of the data are seen. */
async function pictureIn(file: string): Promise<Pixels> {
  const bytes = await readFile(file).catch((cause) => {
    throw new RunnerError('RecipeInvalid', `${file} can't be read (${cause.code}); name a picture`, { cause });
  });
  return decodeInTurn(bytes).catch((cause) => {
    if (!(cause instanceof CorruptExample)) throw cause;
    throw new RunnerError('RecipeInvalid', `${file} is no picture that can be decoded: ${cause.message}`, { cause });
  });
}
