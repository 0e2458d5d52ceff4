import { createHash } from 'node:crypto';
import { partBytes, type RemoteShard, readRange, type ShardStore } from './part-reader.ts';

/**
 * What is not wanted is passed over from so many bytes on. A request more costs a round trip, some 15 ms in a region, in
 * which a stream of 10 MB/s, as thin links and shared stores give, brings as much.
 */
export const smallestGap = 128 * 1024;

/** Behind a gap: the end of a picture, the texts of an example, and the header of the next picture, in one request. */
const afterGap = 8 * 1024;

/**
 * Reads places of a shard front to back. What lies between is read along where that is little, in requests that grow up to
 * 8 MiB, and passed over where it is much: of pictures of several hundred kB a few percent are read.
 */
export class GapReader {
  readonly #store: ShardStore;
  readonly #shard: RemoteShard;
  readonly #hash = createHash('sha256');
  #held: Buffer = Buffer.alloc(0);
  /** Where `#held` begins. */
  #start = 0;
  #window = smallestGap;
  #whole = true;

  constructor(store: ShardStore, shard: RemoteShard) {
    this.#store = store;
    this.#shard = shard;
  }

  /** Bytes [offset, offset + size), fewer at the end of the shard; cheap where they lie behind those that were read last. */
  async read(offset: number, size: number): Promise<Buffer> {
    if (offset < this.#start || offset - this.#end >= smallestGap) {
      this.#whole = false;
      this.#held = Buffer.alloc(0);
      this.#start = offset;
      this.#window = afterGap;
    }
    const wanted = Math.min(offset + size, this.#shard.bytes);
    while (this.#end < wanted) await this.#next(offset, wanted);
    return this.#held.subarray(offset - this.#start, offset - this.#start + size);
  }

  /** Of the whole shard, where nothing of it was passed over and little is left; else undefined. */
  async sha256(): Promise<string | undefined> {
    const { bytes } = this.#shard;
    if (!this.#whole || bytes - this.#end >= smallestGap) return undefined;
    while (this.#end < bytes) await this.#next(bytes, bytes);
    return this.#hash.digest('hex');
  }

  get #end(): number {
    return this.#start + this.#held.length;
  }

  /** One request more; of what is held only bytes from `needed` on stay. */
  async #next(needed: number, wanted: number): Promise<void> {
    const end = this.#end;
    const size = Math.min(Math.max(this.#window, wanted - end), partBytes, this.#shard.bytes - end);
    const part = await readRange(this.#store, this.#shard, end, size);
    this.#window = Math.min(2 * this.#window, partBytes);
    if (this.#whole) this.#hash.update(part);
    const kept = this.#held.subarray(Math.min(this.#held.length, Math.max(0, needed - this.#start)));
    this.#start = end - kept.length;
    this.#held = kept.length === 0 ? part : Buffer.concat([kept, part]);
  }
}
