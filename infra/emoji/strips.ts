import { createHash } from 'node:crypto';
import sharp from 'sharp';
import type { ExampleMeta } from '../../src/data/example/types.ts';
import { randomStream } from '../../src/runtime/random.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { composedPerShard, writeComposed } from './composed.ts';
import type { MadeShard } from './record.ts';
import { cutOut, type Figure, label } from './scenes.ts';

const cell = 64;
const [smallest, largest] = [44, 60];
const [fewest, most] = [2, 4];

/**
 * Writes pictures that are two to four times as long as they are wide as WebDataset shards below `prefix`: as many figures
 * beside one another, or one over another, with the true box of each as `regions`. `styles` as for scenes. Equal figures give equal bytes.
 */
export async function makeStrips(
  store: ObjectStore,
  prefix: string,
  styles: readonly (readonly Figure[])[],
  count: number,
): Promise<MadeShard[]> {
  return writeComposed(store, prefix, 'strips', count, (i) => strip(i, styles[i % styles.length]!));
}

async function strip(number: number, figures: readonly Figure[]): Promise<{ name: string; body: Buffer }[]> {
  const random = randomStream(0, 'emoji-strip', number);
  const wanted = fewest + random.below(most - fewest + 1);
  const lies = random.below(2) === 0;
  const placed: { figure: Figure; picture: Buffer; left: number; top: number; width: number; height: number }[] = [];
  while (placed.length < wanted) {
    const figure = figures[random.below(figures.length)]!;
    if (placed.some((other) => label(other.figure) === label(figure))) continue;
    const cut = await cutOut(figure, smallest + random.below(largest - smallest + 1));
    if (cut === null) continue;
    const first = placed.length * cell;
    const [left, top] = [random.below(cell - cut.width + 1), random.below(cell - cut.height + 1)];
    placed.push({ figure, ...cut, left: left + (lies ? first : 0), top: top + (lies ? 0 : first) });
  }
  const [width, height] = lies ? [wanted * cell, cell] : [cell, wanted * cell];
  const image = await sharp({ create: { width, height, channels: 3, background: '#fff' } })
    .composite(placed.map(({ picture, left, top }) => ({ input: picture, left, top })))
    .png({ compressionLevel: 9, adaptiveFiltering: false })
    .toBuffer();
  const name = `strip-${String(number).padStart(6, '0')}`;
  const meta: ExampleMeta = {
    key: name,
    captions: { en: [placed.map(({ figure }) => label(figure)).join(', ')] },
    concept: name,
    regions: placed.map((one) => ({
      caption: label(one.figure),
      box: [one.top / height, one.left / width, (one.top + one.height) / height, (one.left + one.width) / width],
    })),
  };
  return [
    { name: `${name}.png`, body: image },
    { name: `${name}.json`, body: Buffer.from(JSON.stringify(meta)) },
  ];
}

/** What the bytes of strips depend on beyond their figures. */
export const stripsInputs = () =>
  createHash('sha256')
    .update(JSON.stringify([1, cell, smallest, largest, fewest, most, composedPerShard]))
    .digest('hex');
