import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import pMap from 'p-map';
import sharp from 'sharp';
import { permutation, randomStream } from '../../src/data/random.ts';
import type { ExampleMeta } from '../../src/data/types.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { bareHexcode, type Concept, readConcepts } from './concepts.ts';
import { draw, type EmojiExample, tarShard } from './draw.ts';
import { type IconNames, readIconNames, readStyle } from './icons.ts';
import { licences } from './licences.ts';
import { packageJson } from './packages.ts';
import { type Figure, makeScenes, scenesInputs } from './scenes.ts';
import { type EmojiStyle, heldOutStyle, trainStyles } from './styles.ts';

// Raise it when the same packages would give other bytes than before.
const version = 1;
const examplesPerShard = 512;

export interface EmojiOptions {
  readonly log?: (line: string) => void;
  /** Key prefix of the set, data/emoji; shards go to train/ and held-out/ below it. */
  readonly prefix?: string;
  /** Only this many concepts, for tests: ones that every style has. */
  readonly concepts?: number;
  /** So many scenes of several emoji with boxes, below scenes/; none if not given. */
  readonly scenes?: number;
}

export interface EmojiDataset {
  readonly train: string;
  readonly heldOut: string;
  /** Where the scenes are, whether there are any or not. */
  readonly scenes: string;
  readonly examples: { readonly train: number; readonly heldOut: number; readonly scenes: number };
  /** Distinct concepts of the held-out style. */
  readonly heldOutConcepts: number;
  readonly shards: readonly { readonly key: string; readonly bytes: number; readonly sha256: string }[];
  /** Hash of everything that the bytes depend on. */
  readonly inputs: string;
}

/**
 * Draws every emoji in six styles and writes WebDataset shards: five styles below `train/`, one below
 * `held-out/`. Equal packages give equal bytes; what is there already is not made again.
 */
export async function makeEmojiDataset(store: ObjectStore, options: EmojiOptions = {}): Promise<EmojiDataset> {
  const { log = () => {}, prefix = 'data/emoji' } = options;
  const recordKey = `${prefix}/dataset.json`;
  const inputs = hashOfInputs(prefix, options.concepts, options.scenes);
  const before = await readRecord(store, recordKey);
  if (before?.inputs === inputs && (await allThere(store, before))) {
    log(`emoji data set: already in the bucket (${before.examples.train + before.examples.heldOut} pictures)`);
    return before;
  }
  const all = readConcepts();
  const names = readIconNames(all);
  const concepts = options.concepts === undefined ? all : someConcepts(all, names, options.concepts);
  const train = examplesOf(trainStyles, concepts, names);
  const heldOut = examplesOf([heldOutStyle], concepts, names);
  const total = train.length + heldOut.length;
  const shards: { key: string; bytes: number; sha256: string }[] = [];
  let drawn = 0;
  for (const [folder, examples] of [
    ['train', train],
    ['held-out', heldOut],
  ] as const) {
    for (let start = 0; start < examples.length; start += examplesPerShard) {
      const chunk = examples.slice(start, start + examplesPerShard);
      const key = `${prefix}/${folder}/${folder}-${String(start / examplesPerShard).padStart(5, '0')}.tar`;
      const { body, sha256 } = await tarShard(await drawAll(chunk));
      await store.put(key, body, { contentType: 'application/x-tar' });
      shards.push({ key, bytes: body.length, sha256 });
      drawn += chunk.length;
      log(`emoji data set: ${drawn} of ${total} pictures drawn`);
    }
  }
  const scenes = options.scenes ?? 0;
  if (scenes > 0) {
    log(`emoji data set: composing ${scenes} scenes`);
    const styles = trainStyles.map((style) => figuresOf(style, concepts, names));
    shards.push(...(await makeScenes(store, `${prefix}/scenes`, styles, scenes)));
  }
  await store.put(`${prefix}/LICENSES.md`, licences(), { contentType: 'text/markdown; charset=utf-8' });
  const made: EmojiDataset = {
    train: `${prefix}/train`,
    heldOut: `${prefix}/held-out`,
    scenes: `${prefix}/scenes`,
    examples: { train: train.length, heldOut: heldOut.length, scenes },
    heldOutConcepts: new Set(heldOut.map(({ meta }) => (meta as ExampleMeta).concept)).size,
    shards,
    inputs,
  };
  // Shards of an older set would be read as data of this one.
  const keys = new Set(shards.map(({ key }) => key));
  for (const { key } of before?.shards ?? []) if (!keys.has(key)) await store.delete(key);
  await store.put(recordKey, JSON.stringify(made, null, 2), { contentType: 'application/json' });
  return made;
}

/** Every drawing of these styles, in an order that mixes styles and concepts. */
function examplesOf(styles: readonly EmojiStyle[], concepts: readonly Concept[], names: IconNames): EmojiExample[] {
  const examples = styles.flatMap((style) => {
    const drawings = readStyle(style, concepts, names);
    return concepts.flatMap(({ hexcode, captions }): EmojiExample[] => {
      const svg = drawings.get(bareHexcode(hexcode));
      if (svg === undefined) return [];
      const name = `${hexcode.toLowerCase()}-${style.name}`;
      const meta: ExampleMeta = { key: name, captions, concept: hexcode, style: style.name, hexcode };
      return [{ name, svg, meta }];
    });
  });
  return Array.from(permutation(examples.length, randomStream(0, 'emoji-shards')), (i) => examples[i]!);
}

/** What a style draws, with words in English at least. */
function figuresOf(style: EmojiStyle, concepts: readonly Concept[], names: IconNames): Figure[] {
  const drawings = readStyle(style, concepts, names);
  return concepts.flatMap(({ hexcode, captions }) => {
    const svg = drawings.get(bareHexcode(hexcode));
    return svg === undefined || captions.en?.[0] === undefined ? [] : [{ svg, captions }];
  });
}

function someConcepts(all: readonly Concept[], names: IconNames, count: number): Concept[] {
  const sets = [...trainStyles, heldOutStyle].map((style) => readStyle(style, all, names));
  const everywhere = all.filter(({ hexcode }) => sets.every((set) => set.has(bareHexcode(hexcode))));
  const order = permutation(everywhere.length, randomStream(0, 'emoji-concepts'));
  return Array.from(order.subarray(0, count), (i) => everywhere[i]!);
}

async function drawAll(examples: readonly EmojiExample[]): Promise<{ name: string; body: Buffer }[]> {
  const pairs = await pMap(
    examples,
    async ({ name, svg, meta }) => [
      { name: `${name}.png`, body: await draw(svg) },
      { name: `${name}.json`, body: Buffer.from(JSON.stringify(meta)) },
    ],
    { concurrency: availableParallelism() },
  );
  return pairs.flat();
}

function hashOfInputs(prefix: string, concepts: number | undefined, scenes = 0): string {
  const packages = [...trainStyles, heldOutStyle].map(({ package: name }) => name).concat('emojibase-data');
  const versions = packages.map((name) => [name, packageJson<{ version: string }>(`${name}/package.json`).version]);
  const { sharp: own, vips, rsvg } = sharp.versions as Record<string, string | undefined>;
  const parts: unknown[] = [version, examplesPerShard, prefix, concepts ?? 'all', versions, own, vips, rsvg];
  if (scenes > 0) parts.push(scenes, scenesInputs());
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

async function readRecord(store: ObjectStore, key: string): Promise<EmojiDataset | null> {
  if (!(await store.head(key))) return null;
  return JSON.parse((await store.get(key)).toString('utf8')) as EmojiDataset;
}

async function allThere(store: ObjectStore, { shards }: EmojiDataset): Promise<boolean> {
  const heads = await pMap(shards, ({ key }) => store.head(key), { concurrency: 8 });
  return shards.every(({ bytes }, i) => heads[i]?.bytes === bytes);
}
