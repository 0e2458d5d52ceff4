import type { ExampleMeta } from '../../src/data/example/types.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { hashJson } from '../../src/runtime/hash.ts';
import { permutation, randomStream } from '../../src/runtime/random.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { readConcepts } from './concepts.ts';
import type { EmojiExample } from './draw.ts';
import { examplesInputs, examplesOf, someConcepts, writeShards } from './examples.ts';
import { readIconNames } from './icons.ts';
import { type MadeShard, makeOnce } from './record.ts';
import { trainStyles } from './styles.ts';

// Raise it when the same packages would give other noise than before.
const version = 1;
/** Each kind spoils a drawing at most once. */
const largestShare = 0.75;

export const noiseKinds = ['caption', 'duplicate', 'blank'] as const;
export type NoiseKind = (typeof noiseKinds)[number];
/** What curation counts them by. */
export const sourceOf = (kind: NoiseKind) => `noise-${kind}`;

/** Styles of the curated examples: two of those that are trained on, with good drawings of most concepts. */
export const curatedStyles = trainStyles.filter(({ name }) => name === 'noto' || name === 'twemoji');

export interface NoisyOptions {
  readonly log?: (line: string) => void;
  /** Share of planted noise among the noisy examples, above 0 and up to 0.75. */
  readonly noise: number;
  /** Key prefix of the noisy set, data/emoji-noisy, and of the clean one, data/emoji-curated; shards go to train/. */
  readonly prefix?: string;
  readonly curatedPrefix?: string;
  /** As for the emoji data set. */
  readonly concepts?: number;
}

export interface NoisyDataset {
  readonly train: string;
  readonly examples: number;
  /** How many of them are noise, by kind. */
  readonly noise: Readonly<Record<NoiseKind, number>>;
  readonly shards: readonly MadeShard[];
  readonly inputs: string;
}

export interface CuratedDataset {
  readonly train: string;
  readonly examples: number;
  readonly shards: readonly MadeShard[];
  readonly inputs: string;
}

/**
 * Two sets for curation. Noisy: all training examples of the emoji data set, and among them planted noise, evenly of
 * three kinds: wrong captions, those of another concept; exact copies of other examples; pictures of one colour. Its
 * JSON says so as its `source`, and its name begins with noise-. Curated: the clean examples of two styles. Equal packages
 * give equal bytes; what is there already is not made again.
 */
export async function makeNoisyEmojiDatasets(
  store: ObjectStore,
  options: NoisyOptions,
): Promise<{ noisy: NoisyDataset; curated: CuratedDataset }> {
  const { log = () => {}, noise, prefix = 'data/emoji-noisy', curatedPrefix = 'data/emoji-curated' } = options;
  if (!(noise > 0 && noise <= largestShare)) {
    throw new RunnerError(
      'RecipeInvalid',
      `a share of noise of ${noise} is not possible; allowed: above 0, up to ${largestShare}`,
    );
  }
  const all = readConcepts();
  const names = readIconNames(all);
  const concepts = someConcepts(all, names, options.concepts);
  const write = (folder: string, examples: readonly EmojiExample[]) => {
    let count = 0;
    return writeShards(store, folder, 'train', examples, (more) => {
      count += more;
      log(`${folder}: ${count} of ${examples.length} pictures drawn`);
    });
  };

  const noisyInputs = hashJson([...examplesInputs(prefix, options.concepts), version, noise]);
  const noisy = await makeOnce<NoisyDataset>(store, prefix, noisyInputs, async () => {
    const clean = examplesOf(trainStyles, concepts, names);
    const planted = plant(clean, Math.round((clean.length * noise) / (1 - noise)));
    const together = [...clean, ...planted];
    const order = permutation(together.length, randomStream(0, 'emoji-noise-order'));
    const train = `${prefix}/train`;
    const shards = await write(
      train,
      Array.from(order, (i) => together[i]!),
    );
    const count = (kind: NoiseKind) => [kind, planted.filter(({ meta }) => meta.source === sourceOf(kind)).length];
    const counts = Object.fromEntries(noiseKinds.map(count)) as Record<NoiseKind, number>;
    return { train, examples: together.length, noise: counts, shards };
  });

  const styles = curatedStyles.map(({ name }) => name);
  const curatedInputs = hashJson([...examplesInputs(curatedPrefix, options.concepts), version, styles]);
  const curated = await makeOnce<CuratedDataset>(store, curatedPrefix, curatedInputs, async () => {
    const examples = examplesOf(curatedStyles, concepts, names);
    const train = `${curatedPrefix}/train`;
    return { train, examples: examples.length, shards: await write(train, examples) };
  });
  for (const { already, set } of [noisy, curated]) if (already) log(`${set.train}: already in the bucket`);
  return { noisy: noisy.set, curated: curated.set };
}

/** So many examples of noise, evenly of each kind, made of different ones among the clean. */
function plant(clean: readonly EmojiExample[], count: number): EmojiExample[] {
  const order = Object.fromEntries(
    noiseKinds.map((kind) => [kind, permutation(clean.length, randomStream(0, `emoji-noise/${kind}`))]),
  );
  return Array.from({ length: count }, (_, i) => {
    const kind = noiseKinds[i % noiseKinds.length]!;
    const number = Math.floor(i / noiseKinds.length);
    const source = clean[order[kind]![number]!]!;
    const name = `noise-${kind}-${String(number).padStart(5, '0')}`;
    const { svg, ...spoilt } = spoil(kind, source, clean, number);
    const meta: ExampleMeta = { ...source.meta, ...spoilt, key: name, source: sourceOf(kind) };
    return { name, svg, meta };
  });
}

/** What differs from the source: picture or captions, and what they then show. */
function spoil(
  kind: NoiseKind,
  { svg, meta }: EmojiExample,
  clean: readonly EmojiExample[],
  number: number,
): { svg: string } & Partial<ExampleMeta> {
  const random = randomStream(0, `emoji-noise/${kind}`, number);
  if (kind === 'duplicate') return { svg };
  if (kind === 'blank') return { svg: oneColour(random.below(2 ** 24)), concept: 'blank' };
  const others = clean.filter((other) => other.meta.concept !== meta.concept);
  return { svg, captions: others[random.below(others.length)]!.meta.captions };
}

const oneColour = (rgb: number) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="#${rgb
    .toString(16)
    .padStart(6, '0')}"/></svg>`;
