import sharp from 'sharp';
import type { Region } from '../../src/data/example/regions.ts';
import { type RandomStream, randomStream } from '../../src/runtime/random.ts';
import { type RawMember, tarOf } from '../data/tar-file.ts';

/** Those that the detector in fixtures/colours knows by name. */
const colours = {
  red: '#ff0000',
  green: '#00a000',
  blue: '#0000ff',
  yellow: '#ffff00',
  black: '#000000',
  purple: '#a000a0',
} as const;
type Colour = keyof typeof colours;
const names = Object.keys(colours) as Colour[];

interface Square {
  readonly colour: Colour;
  readonly left: number;
  readonly top: number;
  readonly size: number;
}

/** A picture of squares on white, its caption, and the boxes of those that the caption names. */
export interface Drawn {
  readonly name: string;
  readonly picture: Buffer;
  readonly caption: string;
  readonly regions: readonly Region[];
}

/** Picture `i`: one to four squares, of which the caption may leave one out, and name one that is not there. */
export async function drawSquares(i: number, width = 64, height = 64, scale = 1): Promise<Drawn> {
  const random = randomStream(5, 'squares', i);
  const squares: Square[] = [];
  const free = [...names];
  const wanted = 1 + random.below(4);
  for (let tries = 0; squares.length < wanted && tries < 100; tries++) {
    const size = [8, 16, 24][random.below(3)]!;
    const [left, top] = [placeOf(random, width, size), placeOf(random, height, size)];
    const near = (other: Square) =>
      left < other.left + other.size + 8 &&
      other.left < left + size + 8 &&
      top < other.top + other.size + 8 &&
      other.top < top + size + 8;
    if (squares.some(near)) continue;
    squares.push({ colour: free.splice(random.below(free.length), 1)[0]!, left, top, size });
  }
  const told = squares.length > 2 ? squares.slice(1) : squares;
  const said = told.map(({ colour }) => `a ${colour} square`);
  if (random.below(3) === 0) said.push(`a ${free[0]!} square`);
  const rects = squares.map(
    ({ colour, left, top, size }) =>
      `<rect x="${left}" y="${top}" width="${size}" height="${size}" fill="${colours[colour]}"/>`,
  );
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width * scale}" height="${height * scale}" shape-rendering="crispEdges"><rect width="100%" height="100%" fill="#fff"/>${rects.join('')}</svg>`;
  return {
    name: String(i).padStart(4, '0'),
    picture: await sharp(Buffer.from(svg)).png().toBuffer(),
    caption: `Photo of ${said.join(' and ')}.`,
    regions: told.map(({ colour, left, top, size }) => ({
      caption: `${colour} square`,
      box: [top / height, left / width, (top + size) / height, (left + size) / width],
    })),
  };
}

const placeOf = (random: RandomStream, side: number, size: number) => 4 + 4 * random.below((side - size) / 4 - 1);

/** A shard as img2dataset lays it out. */
export const shardOf = (drawn: readonly Drawn[], more: readonly RawMember[] = []): Buffer =>
  tarOf([
    ...drawn.flatMap(({ name, picture, caption }) => [
      { name: `${name}.png`, body: picture },
      { name: `${name}.txt`, body: caption },
    ]),
    ...more,
  ]);
