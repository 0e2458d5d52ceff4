import { join } from 'node:path';
import pMap from 'p-map';
import { unlessCorrupt } from '../data/example/corrupt-example.ts';
import { decodeInTurn } from '../data/example/decode-in-turn.ts';
import { checkSizes, readMeta } from '../data/example/example.ts';
import { loadTokenizer, rulesOf } from '../data/example/tokenizer.ts';
import { patientReads } from '../data/index/patient-store.ts';
import { ShardCache } from '../data/index/shard-cache.ts';
import type { ExampleEntry, Mapping, ShardIndex } from '../data/index/types.ts';
import type { NaflexImage } from '../data/views/naflex-resize.ts';
import { resizeOf } from '../data/views/preprocess.ts';
import { imageInput } from '../evaluate/image-input.ts';
import type { ModelConfig } from '../model/sizes.ts';
import type { Resize } from '../recipe/schema.ts';
import { paths } from '../runtime/paths.ts';
import { produce } from '../runtime/produce.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';

/** What the thread that reads for a teacher is started with. */
export interface ScoreLoaderSettings {
  readonly model: ModelConfig;
  readonly shard: ShardIndex;
  /** How its members are read; absent: the JSON of this project. */
  readonly read?: Mapping;
  readonly resize?: Resize;
  readonly languages: readonly string[];
  readonly env: Record<string, string | undefined>;
}

/** Examples of a shard one after another, made ready for the model. */
export interface ScorePart {
  /** Number of the first one. */
  readonly first: number;
  readonly count: number;
  /** Examples that can't be used. */
  readonly corrupt: readonly number[];
  /** What the model is shown of the others, by the number of each. */
  readonly images: readonly { readonly example: number; readonly input: unknown }[];
  /** Their first captions, in those languages that they have. */
  readonly texts: readonly { readonly example: number; readonly language: string; readonly tokens: Int32Array }[];
}

/** Examples of a part: a batch of the model. */
const examplesOfPart = 64;
const decodedAtOnce = 4;

/** The thread that reads a shard front to back for its teacher: whole images, first captions. */
async function* parts(settings: ScoreLoaderSettings, note: (text: string) => void): AsyncGenerator<ScorePart> {
  const { env } = settings;
  const store = objectStoreFromEnvironment(env);
  try {
    // What training reads after it, too: verified once, and on disk.
    yield* partsOf(settings, new ShardCache(patientReads(store, note), join(paths(env).scratch, 'shards')));
  } finally {
    store.close();
  }
}

async function* partsOf(
  { model, shard, read: mapping, resize, languages }: Omit<ScoreLoaderSettings, 'env'>,
  shards: ShardCache,
): AsyncGenerator<ScorePart> {
  const input = imageInput(model, resizeOf({ resize }));
  const tokenizer = loadTokenizer(rulesOf(model));

  const read = async (entry: ExampleEntry) => {
    checkSizes(entry, mapping);
    const meta = await readMeta(entry, mapping, (range) => shards.read(shard, range));
    return { meta, image: await shards.read(shard, entry.image) };
  };
  for (let first = 0; first < shard.examples.length; first += examplesOfPart) {
    const entries = shard.examples.slice(first, first + examplesOfPart);
    const found: (Awaited<ReturnType<typeof read>> | null)[] = [];
    for (const entry of entries) found.push(await unlessCorrupt(() => read(entry)));
    const inputs = await pMap(
      found,
      (one) => one && unlessCorrupt(async () => input.prepare(await decodeInTurn(one.image))),
      { concurrency: decodedAtOnce },
    );
    const corrupt: number[] = [];
    const images: ScorePart['images'][number][] = [];
    const texts: ScorePart['texts'][number][] = [];
    for (const [i, prepared] of inputs.entries()) {
      const example = first + i;
      if (prepared === null) {
        corrupt.push(example);
        continue;
      }
      images.push({ example, input: prepared });
      const { captions } = found[i]!.meta;
      for (const language of languages) {
        const label = Object.hasOwn(captions, language) ? captions[language]![0] : undefined;
        if (label !== undefined)
          texts.push({ example, language, tokens: tokenizer.tokenize([label], model.text.length) });
      }
    }
    yield { first, count: entries.length, corrupt, images, texts };
  }
}

/** Squares, or patches and their mask: the large arrays of an image. */
const buffersOf = (input: unknown): readonly ArrayBufferView[] =>
  input instanceof Uint8Array ? [input] : [(input as NaflexImage).patches, (input as NaflexImage).mask];

produce(parts, ({ images }) => images.flatMap(({ input }) => buffersOf(input)));
