import type { Readable } from 'node:stream';

export interface ObjectInfo {
  readonly key: string;
  readonly bytes: number;
  /** Without quotes. */
  readonly etag: string;
  readonly modified: Date;
}

/** What one request finds of an object that is small. */
export interface SmallObject {
  /** All of them; null where there are more than were asked for. */
  readonly body: Buffer | null;
  readonly bytes: number;
  /** Without quotes. */
  readonly etag: string;
}

export interface PutOptions {
  /** Create only: fails with `PreconditionFailed` when the key exists. */
  readonly ifAbsent?: boolean;
  /** Replace only this version: fails with `PreconditionFailed` when the ETag is another. */
  readonly ifMatch?: string;
  readonly contentType?: string;
}

export interface PutFileOptions {
  /** As in PutOptions. */
  readonly ifAbsent?: boolean;
  readonly contentType?: string;
  /** Nothing is written, and it is SnapshotChanged, when the file has other bytes. */
  readonly sha256?: string;
  readonly signal?: AbortSignal;
  /** In more and smaller parts at once: for those who wait for it on links where one connection alone is slow. */
  readonly spread?: boolean;
}

/** An upload in parts that was begun and has not ended: its parts take room, and no listing of objects shows them. */
export interface UnfinishedUpload {
  readonly key: string;
  readonly id: string;
  readonly begun: Date;
}

/**
 * One bucket of an S3-compatible server. Every method retries what is worth retrying a few times, then throws a
 * `RunnerError`: ObjectMissing, PreconditionFailed, BucketMissing, CredentialsRefused, StorageRefused or
 * StorageUnavailable.
 */
export interface ObjectStore {
  readonly bucket: string;
  head(key: string): Promise<ObjectInfo | null>;
  /** The whole object, or bytes [offset, offset + size) of it. With `etag`, DataContract when it has changed. */
  get(key: string, options?: { offset?: number; size?: number; etag?: string }): Promise<Buffer>;
  /** An object of at most `most` bytes, by one request: on a slow link a HEAD before it would cost as much. Null when missing. */
  small(key: string, most: number): Promise<SmallObject | null>;
  stream(key: string): Promise<Readable>;
  put(key: string, body: Uint8Array | string, options?: PutOptions): Promise<{ etag: string }>;
  /** A file of any size, in parts when large; the body on the wire is checked by the server. */
  putFile(key: string, path: string, options?: PutFileOptions): Promise<{ etag: string }>;
  copy(from: string, to: string): Promise<void>;
  delete(key: string): Promise<void>;
  /** Deletes an object for good: on a versioned bucket every version of it and every delete marker. */
  purge(key: string): Promise<void>;
  /** Keys in lexicographic order. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
  /** Keys of which a versioned bucket keeps old versions or delete markers, each once; none when it is not versioned. */
  listVersioned(prefix: string): AsyncIterable<string>;
  listUploads(prefix: string): AsyncIterable<UnfinishedUpload>;
  /** Ends an upload without an object; one that has ended already is no error. */
  abortUpload(upload: UnfinishedUpload): Promise<void>;
}
