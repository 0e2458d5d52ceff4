import { createHash } from 'node:crypto';
import { partBytes, type RemoteShard, readRange, type ShardStore } from './part-reader.ts';

/** Reads a shard front to back once, part by part, and hashes every byte on the way. */
export class ForwardReader {
  readonly #store: ShardStore;
  readonly #shard: RemoteShard;
  readonly #hash = createHash('sha256');
  #held: Buffer = Buffer.alloc(0);
  /** Where `#held` begins. */
  #start = 0;

  constructor(store: ShardStore, shard: RemoteShard) {
    this.#store = store;
    this.#shard = shard;
  }

  /** Bytes [offset, offset + size), never before those that were read last. */
  async read(offset: number, size: number): Promise<Buffer> {
    while (this.#end < Math.min(offset + size, this.#shard.bytes)) await this.#next(offset);
    return this.#held.subarray(offset - this.#start, offset - this.#start + size);
  }

  /** Of the whole shard: what is left of it is read too. */
  async sha256(): Promise<string> {
    while (this.#end < this.#shard.bytes) await this.#next(this.#shard.bytes);
    return this.#hash.digest('hex');
  }

  get #end(): number {
    return this.#start + this.#held.length;
  }

  /** One part more; of what is held only bytes from `needed` on stay. */
  async #next(needed: number): Promise<void> {
    const end = this.#end;
    const part = await readRange(this.#store, this.#shard, end, Math.min(partBytes, this.#shard.bytes - end));
    this.#hash.update(part);
    const kept = this.#held.subarray(Math.min(this.#held.length, Math.max(0, needed - this.#start)));
    this.#start = end - kept.length;
    this.#held = kept.length === 0 ? part : Buffer.concat([kept, part]);
  }
}
