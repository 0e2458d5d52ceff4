import { createHash } from 'node:crypto';
import sharp from 'sharp';
import type { Region } from '../../src/data/example/regions.ts';
import type { Question } from '../../src/data/example/truth.ts';
import type { ExampleMeta } from '../../src/data/example/types.ts';
import { type RandomStream, randomStream } from '../../src/runtime/random.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { composeShards, perShard } from './compose-shards.ts';
import { bareHexcode, type Concept } from './concepts.ts';
import { type IconNames, readStyle } from './icons.ts';
import type { MadeShard } from './record.ts';
import type { EmojiStyle } from './styles.ts';

/** Something that can stand in a scene. */
export interface Figure {
  readonly svg: string;
  readonly captions: ExampleMeta['captions'];
}

export const side = 128;
const [smallest, largest] = [32, 60];
const places = 200;

export interface SceneOptions {
  /** Names the random numbers: other scenes of the same figures. */
  readonly stream?: string;
  /** Whether each says questions and their answers. */
  readonly questions?: boolean;
}

/** A drawing without the paper around it, and where it is to lie. */
export interface Placed {
  readonly figure: Figure;
  readonly picture: Buffer;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Writes scenes of two to four figures, none over another, as WebDataset shards below `prefix`, with the true box of
 * what is drawn as `regions`. `styles` holds the figures of each style: a scene is in one hand. Equal figures give equal
 * bytes.
 */
export async function makeScenes(
  store: ObjectStore,
  prefix: string,
  styles: readonly (readonly Figure[])[],
  count: number,
  how: SceneOptions = {},
): Promise<MadeShard[]> {
  return composeShards(store, prefix, 'scenes', count, (i) => scene(i, styles[i % styles.length]!, how));
}

async function scene(
  number: number,
  figures: readonly Figure[],
  { stream = 'emoji-scene', questions = false }: SceneOptions,
): Promise<{ name: string; body: Buffer }[]> {
  const placed = await compose(figures, randomStream(0, stream, number));
  return membersOf(`scene-${String(number).padStart(6, '0')}`, placed, { questions });
}

/** Two to four different figures, none over another. */
export async function compose(figures: readonly Figure[], random: RandomStream): Promise<Placed[]> {
  const placed: Placed[] = [];
  const wanted = 2 + random.below(3);
  for (let tries = 0; placed.length < wanted && tries < 20; tries++) {
    const figure = figures[random.below(figures.length)]!;
    if (placed.some((other) => label(other.figure) === label(figure))) continue;
    const next = await place(figure, placed, random);
    if (next) placed.push(next);
  }
  return placed;
}

/** The picture of a composition, and its JSON with captions and the true boxes. */
export async function membersOf(
  name: string,
  placed: readonly Placed[],
  { questions = false }: Pick<SceneOptions, 'questions'> = {},
): Promise<{ name: string; body: Buffer }[]> {
  const image = await sharp({ create: { width: side, height: side, channels: 3, background: '#fff' } })
    .composite(placed.map(({ picture, left, top }) => ({ input: picture, left, top })))
    .png({ compressionLevel: 9, adaptiveFiltering: false })
    .toBuffer();
  const languages = Object.keys(placed[0]!.figure.captions).filter((language) =>
    placed.every(({ figure }) => figure.captions[language]?.[0] !== undefined),
  );
  const meta: ExampleMeta = {
    key: name,
    captions: Object.fromEntries(
      languages.map((language) => [language, [placed.map(({ figure }) => figure.captions[language]![0]).join(', ')]]),
    ),
    concept: name,
    regions: placed.map(
      ({ figure, left, top, width, height }): Region => ({
        caption: label(figure),
        box: [top / side, left / side, (top + height) / side, (left + width) / side],
      }),
    ),
  };
  const said = { ...meta, ...(questions && { questions: questionsOf(placed) }) };
  return [
    { name: `${name}.png`, body: image },
    { name: `${name}.json`, body: Buffer.from(JSON.stringify(said)) },
  ];
}

const counts = ['none', 'one', 'two', 'three', 'four'];

/**
 * What can be asked of a scene and has one answer: how many things there are, and what is wholly to the left or right of a
 * thing, or above or below it, where that is one thing.
 */
export function questionsOf(placed: readonly Placed[]): Question[] {
  const sides: [string, (one: Placed, other: Placed) => boolean][] = [
    ['left of', (one, other) => one.left + one.width <= other.left],
    ['right of', (one, other) => other.left + other.width <= one.left],
    ['above', (one, other) => one.top + one.height <= other.top],
    ['below', (one, other) => other.top + other.height <= one.top],
  ];
  const asked = placed.flatMap((other) =>
    sides.flatMap(([side, lies]): Question[] => {
      const there = placed.filter((one) => one !== other && lies(one, other));
      if (there.length !== 1) return [];
      return [{ question: `what is ${side} the ${label(other.figure)}?`, answers: [label(there[0]!.figure)] }];
    }),
  );
  return [{ question: 'how many things are there?', answers: [counts[placed.length]!] }, ...asked];
}

/** What a region of it is called. */
export const label = ({ captions }: Figure) => captions.en?.[0] ?? '';

/** A place for a figure, drawn at a size, that lies over no other; null when none was found. */
async function place(figure: Figure, others: readonly Placed[], random: RandomStream): Promise<Placed | null> {
  const size = smallest + random.below(largest - smallest + 1);
  const drawn = await sharp(Buffer.from(figure.svg)).resize(size, size).ensureAlpha().raw().toBuffer();
  const ink = inkOf(drawn, size);
  if (ink === null) return null;
  const { width, height } = ink;
  for (let i = 0; i < places; i++) {
    const [left, top] = [random.below(side - width + 1), random.below(side - height + 1)];
    const free = others.every(
      (other) =>
        left + width < other.left ||
        other.left + other.width < left ||
        top + height < other.top ||
        other.top + other.height < top,
    );
    if (!free) continue;
    const raw = { width: size, height: size, channels: 4 as const };
    const picture = await sharp(drawn, { raw }).extract(ink).png().toBuffer();
    return { figure, picture, left, top, width, height };
  }
  return null;
}

/** The box of everything that is not clear, in an RGBA picture. */
function inkOf(pixels: Buffer, size: number) {
  let [left, top, right, bottom] = [size, size, -1, -1];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (pixels[(y * size + x) * 4 + 3]! < 16) continue;
      [left, right] = [Math.min(left, x), Math.max(right, x)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    }
  }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/** What the bytes of the scenes depend on beyond their figures. */
export const scenesInputs = () =>
  createHash('sha256')
    .update(JSON.stringify([1, side, smallest, largest, perShard]))
    .digest('hex');

/** What a style draws, with words in English at least. */
export function figuresOf(style: EmojiStyle, concepts: readonly Concept[], names: IconNames): Figure[] {
  const drawings = readStyle(style, concepts, names);
  return concepts.flatMap(({ hexcode, captions }) => {
    const svg = drawings.get(bareHexcode(hexcode));
    return svg === undefined || captions.en?.[0] === undefined ? [] : [{ svg, captions }];
  });
}
