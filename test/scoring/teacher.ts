import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StateFile } from '../../src/checkpoint/types.ts';
import { CorruptExample } from '../../src/data/example/corrupt-example.ts';
import { decodeImage } from '../../src/data/example/decode.ts';
import { parseMeta } from '../../src/data/example/example.ts';
import { collectTokenIds } from '../../src/data/example/token-ids.ts';
import { loadTokenizer } from '../../src/data/example/tokenizer.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { each } from '../../src/data/index/open-index.ts';
import type { DataIndex } from '../../src/data/index/types.ts';
import { squarePixels } from '../../src/data/views/preprocess.ts';
import { openEmbedder } from '../../src/model/embed.ts';
import { initialise } from '../../src/model/initialise.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { randomStream } from '../../src/runtime/random.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { writeState } from '../../src/train/state.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';
import { tinySettings } from '../train/settings.ts';

/** Of these the emoji have captions, but for the last. */
export const languages = ['de', 'en', 'tlh'];

/** Emoji in two shards of a real S3 server, four examples of them damaged, and a small teacher far from a fresh one. */
export interface TaughtData {
  readonly server: TestServer;
  readonly store: S3ObjectStore;
  readonly folder: string;
  readonly index: DataIndex;
  /** Examples of the first shard that can't be used. */
  readonly corrupt: readonly number[];
  readonly model: ModelConfig;
  readonly vocabulary: readonly number[];
  /** Files of the teacher below `folder`. */
  readonly state: readonly StateFile[];
  /** Where the loader finds the server. */
  readonly env: NodeJS.ProcessEnv;
  stop(): Promise<void>;
}

export async function taughtData(): Promise<TaughtData> {
  const server = await startServer();
  const store = server.store();
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-teacher-'));
  const { train } = await drawnEmoji(store, { concepts: 110 });
  const whole = await indexData(store, train);
  const [first] = whole.shards;
  const entries = await whole.entriesOf(0);
  const body = await store.get(first!.key);
  const corrupt = [0, 65, 66, 300];
  for (const [i, example] of corrupt.entries()) {
    const { image, meta } = entries.at(example);
    if (i === 1) body.fill(0x55, meta.offset, meta.offset + meta.size);
    else body.fill(0x55, image.offset + 60, image.offset + image.size - 30);
  }
  await store.put(first!.key, body);
  const index = await indexData(store, train);
  const vocabulary = await collectTokenIds(store, index, languages);
  const tiny = tinySettings.model;
  const model: ModelConfig = {
    vision: { ...tiny.vision, resolution: 16 },
    text: { ...tiny.text, length: 12, vocabulary: vocabulary.length },
  };
  const state = await writeTeacher(folder, model, vocabulary);
  const env = { ...process.env, ...server.environment, SIGLIP2_SCRATCH: join(folder, 'scratch') };
  return {
    ...{ server, store, folder, index, corrupt, model, vocabulary, state, env },
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Writes the state of a model that is far from a fresh one, whose biases of 0 and norms of 1 hide what is missing. */
export async function writeTeacher(
  folder: string,
  model: ModelConfig,
  vocabulary: readonly number[],
): Promise<StateFile[]> {
  const state: Record<string, Float32Array> = {};
  for (const spec of parameterSpecs(model, { temperature: 10, logitBias: -2 })) {
    const random = randomStream(7, `teacher/${spec.name}`);
    state[spec.name] = initialise(7, spec).map((value) => value + 0.2 * random.normal());
    state[`m/${spec.name}`] = state[`v/${spec.name}`] = new Float32Array(state[spec.name]!.length);
  }
  const settings = {
    ...tinySettings,
    model,
    batches: { ...tinySettings.batches, textLength: model.text.length, vocabulary },
  };
  return (await writeState(folder, settings, state)).state;
}

/** What the embedder makes of one example after the other, in the order of the index; null of what can't be used. */
export async function embedOneByOne({ store, folder, index, model, vocabulary }: TaughtData) {
  const embedder = await openEmbedder(folder, model, vocabulary);
  const { logitScale, logitBias } = embedder;
  const rows: ({ image: Float32Array; texts: Record<string, Float32Array> } | null)[][] = [];
  for (const [shard, { key }] of index.shards.entries()) {
    const body = await store.get(key);
    const own: (typeof rows)[number] = [];
    for (const { name, image, meta } of each(await index.entriesOf(shard))) {
      try {
        const { captions } = parseMeta(body.subarray(meta.offset, meta.offset + meta.size), name);
        const pixels = await decodeImage(body.subarray(image.offset, image.offset + image.size));
        const texts: Record<string, Float32Array> = {};
        for (const language of languages)
          if (captions[language])
            texts[language] = embedder.texts(loadTokenizer().tokenize([captions[language][0]!], model.text.length));
        own.push({ image: embedder.images(squarePixels(pixels, model.vision.resolution, 'big_vision')), texts });
      } catch (error) {
        if (!(error instanceof CorruptExample)) throw error;
        own.push(null);
      }
    }
    rows.push(own);
  }
  embedder.dispose();
  return { rows, logitScale, logitBias };
}
