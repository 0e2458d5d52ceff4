import { availableParallelism } from 'node:os';
import pMap from 'p-map';
import sharp from 'sharp';
import type { ExampleMeta } from '../../src/data/example/types.ts';
import { permutation, randomStream } from '../../src/runtime/random.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { bareHexcode, type Concept } from './concepts.ts';
import { draw, type EmojiExample, tarShard } from './draw.ts';
import { type IconNames, readStyle } from './icons.ts';
import { packageJson } from './packages.ts';
import type { MadeShard } from './record.ts';
import { type EmojiStyle, heldOutStyle, trainStyles } from './styles.ts';

// Raise it when the same packages would give other bytes than before.
const version = 1;
const examplesPerShard = 512;

/** Every drawing of these styles, in an order that mixes styles and concepts. */
export function examplesOf(
  styles: readonly EmojiStyle[],
  concepts: readonly Concept[],
  names: IconNames,
): EmojiExample[] {
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

/** So many concepts that every style has; all concepts where no number is given. */
export function someConcepts(all: readonly Concept[], names: IconNames, count?: number): readonly Concept[] {
  if (count === undefined) return all;
  const sets = [...trainStyles, heldOutStyle].map((style) => readStyle(style, all, names));
  const everywhere = all.filter(({ hexcode }) => sets.every((set) => set.has(bareHexcode(hexcode))));
  const order = permutation(everywhere.length, randomStream(0, 'emoji-concepts'));
  return Array.from(order.subarray(0, count), (i) => everywhere[i]!);
}

/** Draws examples into shards `folder`/`name`-00000.tar and on, in their order. */
export async function writeShards(
  store: ObjectStore,
  folder: string,
  name: string,
  examples: readonly EmojiExample[],
  drawn: (count: number) => void,
): Promise<MadeShard[]> {
  const shards: MadeShard[] = [];
  for (let start = 0; start < examples.length; start += examplesPerShard) {
    const chunk = examples.slice(start, start + examplesPerShard);
    const key = `${folder}/${name}-${String(start / examplesPerShard).padStart(5, '0')}.tar`;
    const { body, sha256 } = await tarShard(await drawAll(chunk));
    await store.put(key, body, { contentType: 'application/x-tar' });
    shards.push({ key, bytes: body.length, sha256 });
    drawn(chunk.length);
  }
  return shards;
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

/** What the bytes of examples depend on: to be hashed, with what a set adds to it. */
export function examplesInputs(prefix: string, concepts: number | undefined): unknown[] {
  const packages = [...trainStyles, heldOutStyle].map(({ package: name }) => name).concat('emojibase-data');
  const versions = packages.map((name) => [name, packageJson<{ version: string }>(`${name}/package.json`).version]);
  const { sharp: own, vips, rsvg } = sharp.versions as Record<string, string | undefined>;
  return [version, examplesPerShard, prefix, concepts ?? 'all', versions, own, vips, rsvg];
}
