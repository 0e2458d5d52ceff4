import { createHash } from 'node:crypto';
import sharp from 'sharp';
import type { Pixels } from '../example/pixels.ts';
import type { ExampleMeta } from '../example/types.ts';

/** An example for a page of pictures. */
export interface ShownPicture {
  readonly shard: string;
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly meta: Pick<ExampleMeta, 'captions' | 'concept' | 'regions'>;
  /** WebP of at most 256 pixels a side. */
  readonly thumbnail: Buffer;
}

const side = 256;

/** The examples with the smallest hashes of their names: the same ones each time, from all shards that are looked at. */
export class ShownPictures {
  readonly #most: number;
  #kept: { rank: string; picture: ShownPicture }[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** Whether an example would be shown, as far as is known. */
  wants(shard: string, name: string): boolean {
    return this.#most > 0 && (this.#kept.length < this.#most || rankOf(shard, name) < this.#kept.at(-1)!.rank);
  }

  add(picture: ShownPicture): void {
    const { shard, name } = picture;
    if (!this.wants(shard, name)) return;
    this.#kept.push({ rank: rankOf(shard, name), picture });
    this.#kept.sort((a, b) => (a.rank < b.rank ? -1 : 1));
    this.#kept = this.#kept.slice(0, this.#most);
  }

  get list(): ShownPicture[] {
    return this.#kept.map(({ picture }) => picture);
  }
}

const rankOf = (shard: string, name: string) => createHash('sha256').update(`${shard}\0${name}`).digest('hex');

export function thumbnailOf({ width, height, data }: Pixels): Promise<Buffer> {
  return sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false })
    .resize(side, side, { fit: 'inside', withoutEnlargement: true })
    .webp({ quality: 75 })
    .toBuffer();
}
