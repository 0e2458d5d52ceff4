import type { Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { storeEnvironment } from '../runtime/environment.ts';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import { variable } from '../runtime/variables.ts';
import { bareEtag } from './answer.ts';
import { copyObject } from './copy.ts';
import { type RequestContext, storageError, withoutSecrets } from './errors.ts';
import { isVersioned, listUploads, listVersions } from './leftovers.ts';
import { orNull, unlessMissing } from './missing.ts';
import { changed, spreadWay, type UploadWay, uploadFile, usualWay } from './multipart.ts';
import type {
  ObjectInfo,
  ObjectStore,
  PutFileOptions,
  PutOptions,
  SmallObject,
  UnfinishedUpload,
} from './object-store.ts';
import { sendingMs } from './patience.ts';
import { readRange, readSmall } from './read-object.ts';
import { retryBroken, retryConflict } from './retry.ts';
import { type S3Settings, s3Client } from './s3-client.ts';

const streamBytes = 8 * 1024 * 1024;

/** `ObjectStore` over one bucket of an S3-compatible server. */
export class S3ObjectStore implements ObjectStore {
  readonly bucket: string;
  readonly client: S3Client;
  readonly #settings: S3Settings;
  /** A HEAD answers 404 for a missing key and for a missing bucket alike; this tells whether that is settled. */
  #bucketSeen = false;
  #versioned: boolean | undefined;

  constructor(settings: S3Settings) {
    this.bucket = settings.bucket;
    this.#settings = settings;
    this.client = s3Client(settings);
  }

  /** Ends idle connections; the store can't be used afterwards. */
  close(): void {
    this.client.destroy();
  }

  async head(key: string): Promise<ObjectInfo | null> {
    return unlessMissing(async () => {
      const found = await orNull(
        this.#request(key, async () => {
          const answer = await this.client.send(new HeadObjectCommand(this.#at(key)));
          return {
            key,
            bytes: answer.ContentLength ?? 0,
            etag: bareEtag(answer.ETag),
            modified: answer.LastModified ?? new Date(0),
          };
        }),
      );
      if (!found && !this.#bucketSeen) await this.#requireBucket();
      return found;
    });
  }

  async get(key: string, options: { offset?: number; size?: number; etag?: string } = {}): Promise<Buffer> {
    if (options.size === 0) return Buffer.alloc(0);
    try {
      return await this.#read(key, () => readRange(this.client, this.#at(key), options));
    } catch (error) {
      if (!isRunnerError(error, 'PreconditionFailed')) throw error;
      throw new RunnerError(
        'DataContract',
        `s3://${this.bucket}/${key} changed while it was in use; put the old object back, or start a new run`,
        { cause: error },
      );
    }
  }

  async small(key: string, most: number): Promise<SmallObject | null> {
    return unlessMissing(() => orNull(this.#read(key, () => readSmall(this.client, this.#at(key), most))));
  }

  #at(key: string) {
    return { Bucket: this.bucket, Key: key };
  }

  /** The SDK retries until the headers are there; a connection that breaks within the body is ours. */
  #read<T>(key: string, read: () => Promise<T>): Promise<T> {
    return this.#request(key, () => retryBroken(read, this.#settings.attempts ?? 3));
  }

  /** The object as a stream of ranged requests for one version of it, each retried on its own. */
  async stream(key: string): Promise<Readable> {
    const info = await this.head(key);
    if (!info) throw new RunnerError('ObjectMissing', `s3://${this.bucket}/${key} does not exist`);
    const chunks = async function* (store: S3ObjectStore) {
      for (let offset = 0; offset < info.bytes; offset += streamBytes) {
        yield await store.get(key, { offset, size: Math.min(streamBytes, info.bytes - offset), etag: info.etag });
      }
    };
    return Readable.from(chunks(this), { objectMode: false, highWaterMark: streamBytes });
  }

  async put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<{ etag: string }> {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const write = async () => {
      const answer = await this.client.send(
        new PutObjectCommand({
          Bucket: this.bucket,
          Key: key,
          Body: bytes,
          ContentLength: bytes.byteLength,
          ...(options.contentType === undefined ? {} : { ContentType: options.contentType }),
          ...(options.ifAbsent ? { IfNoneMatch: '*' } : {}),
          ...(options.ifMatch === undefined ? {} : { IfMatch: `"${options.ifMatch}"` }),
        }),
        { requestTimeout: sendingMs(bytes.byteLength) },
      );
      return { etag: bareEtag(answer.ETag) };
    };
    return this.#request(key, () => retryConflict(write));
  }

  async putFile(
    key: string,
    path: string,
    { spread = false, ...options }: PutFileOptions = {},
  ): Promise<{ etag: string }> {
    const file = await open(path, 'r').catch((error) => {
      throw changed({ path }, error);
    });
    try {
      const { size }: Stats = await file.stat();
      const etag = await this.#request(key, () =>
        uploadFile(this.client, {
          bucket: this.bucket,
          key,
          path,
          file,
          bytes: size,
          way: this.#wayOf(spread),
          ...options,
        }),
      );
      return { etag: bareEtag(etag) };
    } finally {
      await file.close();
    }
  }

  #wayOf(spread: boolean): UploadWay {
    const way = spread ? spreadWay : usualWay;
    const { multipartAbove = way.multipartAbove, partBytes = way.partBytes } = this.#settings;
    return { ...way, multipartAbove, partBytes };
  }

  async copy(from: string, to: string): Promise<void> {
    const source = await this.head(from);
    if (!source) throw new RunnerError('ObjectMissing', `s3://${this.bucket}/${from} does not exist`);
    await this.#request(to, () => copyObject(this.client, this.bucket, source, to));
  }

  async delete(key: string): Promise<void> {
    await this.#remove(key);
  }

  /** To a deletion of what another is deleting at the same moment a store on a file system may say that it is not there. */
  async #remove(key: string, VersionId?: string): Promise<void> {
    const version = VersionId === undefined ? {} : { VersionId };
    const command = new DeleteObjectCommand({ ...this.#at(key), ...version });
    await orNull(this.#request(key, () => this.client.send(command)));
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    let token: string | undefined;
    do {
      const page = await this.#request(prefix, () =>
        this.client.send(
          new ListObjectsV2Command({
            Bucket: this.bucket,
            Prefix: prefix,
            ...(this.#settings.pageKeys === undefined ? {} : { MaxKeys: this.#settings.pageKeys }),
            ...(token ? { ContinuationToken: token } : {}),
          }),
        ),
      );
      for (const item of page.Contents ?? []) {
        yield {
          key: item.Key!,
          bytes: item.Size ?? 0,
          etag: bareEtag(item.ETag),
          modified: item.LastModified ?? new Date(0),
        };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token);
  }

  async purge(key: string): Promise<void> {
    if (!(await this.#isVersioned())) return this.delete(key);
    for (const { Key, VersionId } of await this.#all(listVersions(this.client, this.bucket, key)))
      if (Key === key) await this.#remove(key, VersionId);
  }

  async *listVersioned(prefix: string): AsyncIterable<string> {
    if (!(await this.#isVersioned())) return;
    const versions = await this.#all(listVersions(this.client, this.bucket, prefix));
    yield* new Set(versions.flatMap(({ Key }) => Key ?? []));
  }

  async #isVersioned(): Promise<boolean> {
    this.#versioned ??= await this.#request(undefined, () => isVersioned(this.client, this.bucket));
    return this.#versioned;
  }

  async *listUploads(prefix: string): AsyncIterable<UnfinishedUpload> {
    yield* await this.#all(listUploads(this.client, this.bucket, prefix));
  }

  /** What is left over is little: it is listed whole. */
  #all<T>(found: AsyncIterable<T>): Promise<T[]> {
    return this.#request(undefined, async () => {
      const all: T[] = [];
      for await (const one of found) all.push(one);
      return all;
    });
  }

  async abortUpload({ key, id }: UnfinishedUpload): Promise<void> {
    const command = new AbortMultipartUploadCommand({ Bucket: this.bucket, Key: key, UploadId: id });
    await this.#request(key, () => this.client.send(command)).catch((error) => {
      const name = (error as { cause?: { name?: string } }).cause?.name;
      if (name !== 'NoSuchUpload' && !isRunnerError(error, 'ObjectMissing')) throw error;
    });
  }

  async #requireBucket(): Promise<void> {
    try {
      await this.client.send(new HeadBucketCommand({ Bucket: this.bucket }));
      this.#bucketSeen = true;
    } catch (error) {
      const gone = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 404;
      throw await this.#explain(gone ? Object.assign(new Error(), { name: 'NoSuchBucket' }) : error);
    }
  }

  async #request<T>(key: string | undefined, send: () => Promise<T>): Promise<T> {
    try {
      const answer = await send();
      this.#bucketSeen = true;
      return answer;
    } catch (error) {
      throw await this.#explain(error, key);
    }
  }

  async #explain(error: unknown, key?: string): Promise<unknown> {
    const id = await this.client.config.credentials().then(
      (credentials) => credentials.accessKeyId,
      () => undefined,
    );
    const context: RequestContext = {
      endpoint: this.#settings.endpoint === undefined ? null : withoutSecrets(this.#settings.endpoint),
      bucket: this.bucket,
      key,
      accessKeyId: id,
    };
    return storageError(error, context);
  }
}

/**
 * The bucket that the environment names, or that of a running `npm run up`. Credentials come from `npm run up`, from
 * the variables in `env`, or by the SDK's standard chain.
 */
export function objectStoreFromEnvironment(
  env: NodeJS.ProcessEnv = process.env,
  changes: Partial<S3Settings> = {},
): S3ObjectStore {
  const { source: _, ...found } = storeEnvironment(env);
  const settings = { ...found, ...changes };
  const accessKeyId = variable('AWS_ACCESS_KEY_ID', env);
  const secretAccessKey = variable('AWS_SECRET_ACCESS_KEY', env);
  const sessionToken = variable('AWS_SESSION_TOKEN', env);
  // The chain reads process.env only; what another environment says is given to it.
  if (settings.credentials || env === process.env || !accessKeyId || !secretAccessKey)
    return new S3ObjectStore(settings);
  const credentials = { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
  return new S3ObjectStore({ ...settings, credentials });
}
