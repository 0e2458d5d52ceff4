import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { RunnerError } from '../../src/runtime/errors.ts';
import type {
  ObjectInfo,
  ObjectStore,
  PutOptions,
  SmallObject,
  UnfinishedUpload,
} from '../../src/storage/object-store.ts';

/** An object store in memory, for faults and orders of events that a real server does not have on call. */
export class MemoryStore implements ObjectStore {
  readonly bucket = 'memory';
  readonly objects = new Map<string, Buffer>();
  gets = 0;
  /** Called before each read; may throw. */
  beforeGet: (key: string) => void = () => {};

  async head(key: string): Promise<ObjectInfo | null> {
    const body = this.objects.get(key);
    return body ? { key, bytes: body.length, etag: etagOf(body), modified: new Date(0) } : null;
  }

  async get(key: string, options: { offset?: number; size?: number; etag?: string } = {}): Promise<Buffer> {
    this.gets++;
    this.beforeGet(key);
    const body = this.objects.get(key);
    if (!body) throw new RunnerError('ObjectMissing', `no object ${key}`);
    if (options.etag !== undefined && options.etag !== etagOf(body)) {
      throw new RunnerError('DataContract', `${key} has changed`);
    }
    const offset = options.offset ?? 0;
    return body.subarray(offset, options.size === undefined ? undefined : offset + options.size);
  }

  async small(key: string, most: number): Promise<SmallObject | null> {
    this.gets++;
    this.beforeGet(key);
    const body = this.objects.get(key);
    if (!body) return null;
    return { body: body.length > most ? null : body, bytes: body.length, etag: etagOf(body) };
  }

  async stream(key: string): Promise<Readable> {
    return Readable.from(await this.get(key));
  }

  async put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<{ etag: string }> {
    const bytes = Buffer.from(body as Uint8Array);
    const there = this.objects.get(key);
    if (options.ifMatch !== undefined && !there) throw new RunnerError('ObjectMissing', `no object ${key}`);
    if ((options.ifAbsent && there) || (options.ifMatch !== undefined && options.ifMatch !== etagOf(there!)))
      throw new RunnerError('PreconditionFailed', `${key} was not written: another writer was first`);
    this.objects.set(key, bytes);
    return { etag: etagOf(bytes) };
  }

  async putFile(key: string, path: string): Promise<{ etag: string }> {
    return this.put(key, readFileSync(path));
  }

  async copy(from: string, to: string): Promise<void> {
    await this.put(to, await this.get(from));
  }

  async delete(key: string): Promise<void> {
    this.objects.delete(key);
  }

  async purge(key: string): Promise<void> {
    await this.delete(key);
  }

  async *listVersioned(): AsyncIterable<string> {}

  async *listUploads(): AsyncIterable<UnfinishedUpload> {}

  async abortUpload(): Promise<void> {}

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    for (const key of [...this.objects.keys()].sort()) {
      if (key.startsWith(prefix)) yield (await this.head(key))!;
    }
  }
}

const etagOf = (body: Buffer) => createHash('md5').update(body).digest('hex');

/** One that holds objects by their keys. */
export function storeOf(objects: Readonly<Record<string, Buffer | string>>): MemoryStore {
  const store = new MemoryStore();
  for (const [key, body] of Object.entries(objects)) store.objects.set(key, Buffer.from(body as string));
  return store;
}
