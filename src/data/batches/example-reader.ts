import { CorruptExample } from '../example/corrupt-example.ts';
import { decodeInTurn } from '../example/decode-in-turn.ts';
import { checkSizes, readMeta } from '../example/example.ts';
import type { Pixels } from '../example/pixels.ts';
import { RegionReader } from '../example/region-reader.ts';
import { speakingWithout, speaksAny } from '../example/spoken.ts';
import type { ExampleMeta } from '../example/types.ts';
import type { ShardCache } from '../index/shard-cache.ts';
import type { DataIndex } from '../index/types.ts';
import { costOf, DecodedCache, type DecodedExample, decodedBytes } from './decoded-cache.ts';
import type { Draw } from './draws.ts';
import { PixelRooms } from './pixel-rooms.ts';

/** It is whole, and has no text in the languages that are drawn. */
export class FilteredExample extends Error {}

/** Examples that were drawn, read and decoded. What is kept between calls only saves time. */
export class ExampleReader {
  readonly #index: DataIndex;
  readonly #shards: ShardCache;
  readonly #filters: boolean;
  readonly #regions: RegionReader | null;
  readonly #decoded: DecodedCache;
  readonly #rooms = new PixelRooms();

  /** `filters`: whether an example without a text in a language that is drawn is passed over. `sharers`: readers that keep decoded pictures. */
  constructor(index: DataIndex, shards: ShardCache, filters: boolean, sharers = 1) {
    this.#index = index;
    this.#shards = shards;
    this.#filters = filters;
    this.#regions = index.regions ? new RegionReader(index, (file, range) => shards.read(file, range)) : null;
    this.#decoded = new DecodedCache(Math.floor(decodedBytes / sharers));
  }

  /** Throws `CorruptExample`, `FilteredExample`, and read errors as they are. Its pixels are the caller's until they are given back. */
  async read(draw: Draw): Promise<DecodedExample> {
    const { shard, entry, read: mapping, source } = draw;
    const key = `${source ?? ''} ${shard.key}/${entry.image.offset}`;
    const known = this.#decoded.get(key);
    if (known) return { ...known, meta: this.#spoken(known.meta, draw) };
    checkSizes(entry, mapping);
    let example: DecodedExample;
    try {
      example = await this.#decode(draw, 'read');
    } catch (error) {
      if (!(error instanceof CorruptExample)) throw error;
      // A bad disk must not change what is trained on: only what the store itself holds can be corrupt.
      example = await this.#decode(draw, 'readRemote');
    }
    if (this.#isKept(costOf({ bytes: example.pixels.data.length, metaBytes: example.metaBytes })))
      this.#decoded.set(key, example);
    return { ...example, meta: this.#spoken(example.meta, draw) };
  }

  async #decode(draw: Draw, from: 'read' | 'readRemote'): Promise<DecodedExample> {
    const { ref, shard, entry, read: mapping } = draw;
    const own = await readMeta(entry, mapping, (range) => this.#shards[from](shard, range));
    // No picture is decoded for nothing.
    this.#spoken(own, draw);
    const meta = this.#regions ? await this.#regions.join(ref.shard, entry.name, own) : own;
    const metaBytes = entry.meta.size;
    const room = (bytes: number) =>
      this.#isKept(costOf({ bytes, metaBytes })) ? new Uint8Array(bytes) : this.#rooms.take(bytes);
    const pixels = await decodeInTurn(await this.#shards[from](shard, entry.image), room);
    return { meta, pixels, metaBytes };
  }

  /** Takes pixels back that nobody looks at any more; not to do so costs time alone. */
  done(pixels: Pixels): void {
    this.#rooms.give(pixels);
  }

  /** Of a set that is larger than what is kept none would be there when it comes again. */
  #isKept(cost: number): boolean {
    return this.#index.examples * cost <= decodedBytes;
  }

  /** What it says in the languages that are drawn. */
  #spoken(whole: ExampleMeta, { data, without }: Draw): ExampleMeta {
    if (!this.#filters) return whole;
    const meta = without ? speakingWithout(whole, without) : whole;
    if (speaksAny(meta, data.captions)) return meta;
    throw new FilteredExample();
  }
}
