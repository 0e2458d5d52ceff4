import { isRunnerError, RunnerError } from '../../runtime/errors.ts';
import { lookAgain } from '../../storage/look-again.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type { ByteRange } from './types.ts';

export const partBytes = 8 * 1024 * 1024;

/** All of a store that reading shards needs. */
export type ShardStore = Pick<ObjectStore, 'bucket' | 'get'>;

export interface RemoteShard {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
  /** Of its bytes from `offset` on, where it is known: what comes to disk is verified then. */
  readonly sha256?: string;
  /** 0 if not given. */
  readonly offset?: number;
  /** Ascending and apart: the bytes that are wanted of it; absent: all. */
  readonly parts?: readonly ByteRange[];
}

/**
 * Reads one shard front to back by ranged GETs of 8 MiB. Each asks for the version that was indexed: a shard that
 * has changed since, or is gone, is a `DataContract` error and never other data.
 */
export class PartReader {
  readonly #store: ShardStore;
  readonly #shard: RemoteShard;
  #start = 0;
  #part: Buffer = Buffer.alloc(0);

  constructor(store: ShardStore, shard: RemoteShard) {
    this.#store = store;
    this.#shard = shard;
  }

  /** Bytes [offset, offset + size); cheap when they lie in the part that was read last. */
  async read(offset: number, size: number): Promise<Buffer> {
    const { bytes } = this.#shard;
    if (offset < this.#start || offset + size > this.#start + this.#part.length) {
      const wanted = Math.min(Math.max(size, partBytes), bytes - offset);
      this.#part = wanted > 0 ? await readRange(this.#store, this.#shard, offset, wanted) : Buffer.alloc(0);
      this.#start = offset;
    }
    return this.#part.subarray(offset - this.#start, offset - this.#start + size);
  }
}

/** Bytes [offset, offset + size) of the version of a shard that was indexed. */
export async function readRange(
  store: ShardStore,
  { key, etag }: RemoteShard,
  offset: number,
  size: number,
): Promise<Buffer> {
  let body: Buffer;
  try {
    body = await lookAgain(() => store.get(key, { offset, size, etag }));
  } catch (error) {
    if (!isRunnerError(error, 'ObjectMissing')) throw error;
    throw new RunnerError(
      'DataContract',
      `shard ${key} is gone from bucket ${store.bucket}: put it back, or start a new run on the data that is there`,
      { cause: error },
    );
  }
  if (body.length !== size) {
    throw new RunnerError(
      'StorageUnavailable',
      `the store gave ${body.length} of the ${size} bytes of ${key} that were asked for`,
    );
  }
  return body;
}
