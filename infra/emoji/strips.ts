import sharp from 'sharp';
import type { ExampleMeta } from '../../src/data/example/types.ts';
import { hashJson } from '../../src/runtime/hash.ts';
import { randomStream } from '../../src/runtime/random.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { composeShards, perShard } from './compose-shards.ts';
import { readConcepts } from './concepts.ts';
import { examplesInputs, someConcepts } from './examples.ts';
import { readIconNames } from './icons.ts';
import { type MadeShard, makeOnce } from './record.ts';
import { type Figure, figuresOf } from './scenes.ts';
import { heldOutStyle, trainStyles } from './styles.ts';

// Raise it when the same packages would give other strips than before.
const version = 2;
const cell = 64;
const [smallest, largest] = [44, 60];
const [fewest, most] = [4, 5];

/** Held-out strips where no number is given. */
export const heldOutStrips = 500;

export interface StripsOptions {
  readonly log?: (line: string) => void;
  /** Strips in the styles that are trained on. */
  readonly strips: number;
  /** Strips in the style that is not. */
  readonly heldOut?: number;
  /** Key prefix, data/emoji-strips; shards go to train/ and held-out/ below it. */
  readonly prefix?: string;
  /** As for the emoji data set. */
  readonly concepts?: number;
}

export interface StripsDataset {
  readonly train: string;
  readonly heldOut: string;
  readonly shards: readonly MadeShard[];
  readonly inputs: string;
}

/**
 * Pictures that are four or five times as long as wide: as many emoji in a row or in a column, and their names as the caption. Who
 * squashes them makes each emoji narrow; NaFlex does not. Equal packages give equal bytes; what is there already is not made again.
 */
export async function makeEmojiStrips(store: ObjectStore, options: StripsOptions): Promise<StripsDataset> {
  const { log = () => {}, strips, heldOut = heldOutStrips, prefix = 'data/emoji-strips' } = options;
  const drawn = [version, cell, smallest, largest, fewest, most, perShard];
  const inputs = hashJson([examplesInputs(prefix, options.concepts), drawn, strips, heldOut]);
  const { set, already } = await makeOnce<StripsDataset>(store, prefix, inputs, async () => {
    const all = readConcepts();
    const names = readIconNames(all);
    const concepts = someConcepts(all, names, options.concepts);
    const write = (folder: string, styles: typeof trainStyles, count: number) => {
      log(`${folder}: composing ${count} strips`);
      const figures = styles.map((style) => figuresOf(style, concepts, names));
      return composeShards(store, folder, 'strips', count, (i) => strip(i, figures[i % figures.length]!));
    };
    const [train, other] = [`${prefix}/train`, `${prefix}/held-out`];
    const shards = [...(await write(train, trainStyles, strips)), ...(await write(other, [heldOutStyle], heldOut))];
    return { train, heldOut: other, shards };
  });
  if (already) log(`${prefix}: already in the bucket`);
  return set;
}

async function strip(number: number, figures: readonly Figure[]): Promise<{ name: string; body: Buffer }[]> {
  const random = randomStream(0, 'emoji-strip', number);
  const wanted = fewest + random.below(most - fewest + 1);
  const lies = random.below(2) === 0;
  const texts: string[] = [];
  const layers: { input: Buffer; left: number; top: number }[] = [];
  while (texts.length < wanted) {
    const { svg, captions } = figures[random.below(figures.length)]!;
    const text = captions.en![0]!;
    if (texts.includes(text)) continue;
    const size = smallest + random.below(largest - smallest + 1);
    const [along, across] = [texts.length * cell + random.below(cell - size + 1), random.below(cell - size + 1)];
    const input = await sharp(Buffer.from(svg)).resize(size, size).png().toBuffer();
    layers.push({ input, left: lies ? along : across, top: lies ? across : along });
    texts.push(text);
  }
  const [width, height] = lies ? [wanted * cell, cell] : [cell, wanted * cell];
  const image = await sharp({ create: { width, height, channels: 3, background: '#fff' } })
    .composite(layers)
    .png({ compressionLevel: 9, adaptiveFiltering: false })
    .toBuffer();
  const name = `strip-${String(number).padStart(6, '0')}`;
  const meta: ExampleMeta = { key: name, captions: { en: [texts.join(', ')] }, concept: name };
  return [
    { name: `${name}.png`, body: image },
    { name: `${name}.json`, body: Buffer.from(JSON.stringify(meta)) },
  ];
}
