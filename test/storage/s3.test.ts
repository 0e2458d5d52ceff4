import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { startServer, type TestServer } from './versitygw.ts';

const MiB = 1024 * 1024;
let server: TestServer;
let store: S3ObjectStore;
let folder: string;

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  folder = await mkdtemp(join(tmpdir(), 'siglip2-s3-files-'));
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const item of store.list(prefix)) found.push(item.key);
  return found;
}

/** Calls `then` once, when a part of this number is about to be sent. */
function atPart(of: S3ObjectStore, number: number, then: () => void | Promise<void>): void {
  let done = false;
  of.client.middlewareStack.add(
    (next) => async (args) => {
      if (!done && (args.input as { PartNumber?: number }).PartNumber === number) {
        done = true;
        await then();
      }
      return next(args);
    },
    { step: 'initialize' },
  );
}

// What any store must do is in src/storage/checks; here is what is ours alone.
describe('objects', () => {
  test('a missing object is ObjectMissing to a stream, and a range of no bytes is empty', async () => {
    await expect(store.stream('a/nothing')).rejects.toMatchObject({ code: 'ObjectMissing' });
    await store.put('a/bytes', 'bytes');
    expect(await store.get('a/bytes', { offset: 3, size: 0 })).toHaveLength(0);
  });

  test('a small object is one request, with the ETag that a HEAD gives; of a larger one nothing is read, and a missing one is null', async () => {
    await store.put('a/small', 'bytes');
    await store.put('a/large', randomBytes(4 * MiB));
    const names: string[] = [];
    const watched = server.store();
    watched.client.middlewareStack.add(
      (next, { commandName = '' }) =>
        (args) => {
          names.push(commandName);
          return next(args);
        },
      { step: 'initialize' },
    );
    const { etag } = (await store.head('a/small'))!;
    expect(await watched.small('a/small', 5)).toEqual({ body: Buffer.from('bytes'), bytes: 5, etag });
    expect(names).toEqual(['GetObjectCommand']);
    const large = await watched.small('a/large', 4 * MiB - 1);
    expect(large).toEqual({ body: null, bytes: 4 * MiB, etag: (await store.head('a/large'))!.etag });
    expect(await watched.small('a/small', 4)).toMatchObject({ body: null, bytes: 5 });
    expect(names).toHaveLength(3);
    await store.put('a/empty', '');
    expect(await watched.small('a/empty', 0)).toMatchObject({ body: Buffer.alloc(0), bytes: 0 });
    expect(await watched.small('a/missing', 5)).toBeNull();
    expect(names.slice(4)).toEqual(['GetObjectCommand', 'GetObjectCommand']);
    watched.close();
    const gone = server.store({ bucket: 'no-such-bucket' });
    await expect(gone.small('a/small', 5)).rejects.toMatchObject({ code: 'BucketMissing' });
    gone.close();
  });

  test('1,100 keys are listed over several pages, in order', async () => {
    const names = Array.from({ length: 1100 }, (_, i) => `many/${String(i).padStart(4, '0')}`);
    for (let i = 0; i < names.length; i += 50)
      await Promise.all(names.slice(i, i + 50).map((name) => store.put(name, name)));
    expect(await keys('many/')).toEqual(names);
  });
});

describe('large files', () => {
  const bytes = randomBytes(23 * MiB + 17);
  const path = () => join(folder, 'large');
  beforeAll(() => writeFile(path(), bytes));

  test('a file goes up in parts and comes back as a stream', async () => {
    const inParts = server.store({ multipartAbove: 5 * MiB, partBytes: 5 * MiB });
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    await inParts.putFile('c/large', path(), { sha256 });
    // Five parts: the count is part of a multipart ETag.
    expect((await store.head('c/large'))?.etag).toMatch(/-5$/);
    const hash = createHash('sha256');
    for await (const chunk of await store.stream('c/large')) hash.update(chunk);
    expect(hash.digest('hex')).toBe(sha256);
  });

  test.each([5 * MiB, 64 * MiB])(
    'bodies go with a checksum that the store checks, unsigned (parts above %i)',
    async (multipartAbove) => {
      const careful = server.store({ multipartAbove, partBytes: 5 * MiB, attempts: 1 });
      let seen = 0;
      careful.client.middlewareStack.add(
        (next) => (args) => {
          const { headers } = args.request as { headers: Record<string, string> };
          if (headers['x-amz-checksum-crc32'] === undefined) return next(args);
          expect(headers['x-amz-content-sha256']).toBe('UNSIGNED-PAYLOAD');
          // As if a byte had turned over on the way.
          if (++seen === 1)
            (args.request as { body: Buffer }).body = Buffer.from((args.request as { body: Buffer }).body).fill(
              1,
              0,
              9,
            );
          return next(args);
        },
        { step: 'finalizeRequest', priority: 'low' },
      );
      await expect(careful.putFile('c/turned', path())).rejects.toThrow();
      expect(seen).toBeGreaterThan(0);
      expect(await store.head('c/turned')).toBeNull();
      // Parts that were on their way may come after the upload was given up.
      for await (const upload of store.listUploads('c/turned')) await store.abortUpload(upload);
    },
  );

  test.each([5 * MiB, 64 * MiB])(
    'a file that changed since it was hashed is not uploaded (parts above %i)',
    async (multipartAbove) => {
      const strict = server.store({ multipartAbove, partBytes: 5 * MiB });
      const sha256 = createHash('sha256').update('something else').digest('hex');
      await expect(strict.putFile('c/changed', path(), { sha256 })).rejects.toMatchObject({ code: 'SnapshotChanged' });
      expect(await store.head('c/changed')).toBeNull();
      expect((await store.client.send(new ListMultipartUploadsCommand({ Bucket: 'test' }))).Uploads ?? []).toEqual([]);
    },
  );

  test.each([5 * MiB, 64 * MiB])(
    'of five uploads of one key at once that create only, one wins and gives its ETag (parts above %i)',
    async (multipartAbove) => {
      const strict = server.store({ multipartAbove, partBytes: 5 * MiB });
      const key = `c/created-${multipartAbove}`;
      const uploads = Array.from({ length: 5 }, () => strict.putFile(key, path(), { ifAbsent: true }));
      const outcomes = await Promise.allSettled(uploads);
      const won = outcomes.filter((outcome) => outcome.status === 'fulfilled');
      expect(won.map(({ value }) => value.etag)).toEqual([(await store.head(key))?.etag]);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'PreconditionFailed' });
      expect((await store.client.send(new ListMultipartUploadsCommand({ Bucket: 'test' }))).Uploads ?? []).toEqual([]);
    },
  );

  test('a file that is gone is told as such, and not as a fault of the store', async () => {
    await expect(store.putFile('c/gone', join(folder, 'gone'))).rejects.toMatchObject({ code: 'SnapshotChanged' });
  });

  test('a cancelled upload leaves no object and no parts', async () => {
    const inParts = server.store({ multipartAbove: 5 * MiB, partBytes: 5 * MiB });
    const cancel = new AbortController();
    atPart(inParts, 3, () => cancel.abort());
    const upload = inParts.putFile('c/cancelled', path(), { signal: cancel.signal });
    await expect(upload).rejects.toMatchObject({ name: 'AbortError' });
    expect(await store.head('c/cancelled')).toBeNull();
    expect((await store.client.send(new ListMultipartUploadsCommand({ Bucket: 'test' }))).Uploads ?? []).toEqual([]);
  });

  test('a server killed during an upload is StorageUnavailable within seconds, and the next try succeeds', async () => {
    const inParts = server.store({ multipartAbove: 5 * MiB, partBytes: 5 * MiB });
    await store.put('c/earlier', 'kept');
    const started = Date.now();
    atPart(inParts, 3, () => server.kill());
    const upload = inParts.putFile('c/killed', path());
    await expect(upload).rejects.toMatchObject({ code: 'StorageUnavailable', retryable: true });
    expect(Date.now() - started).toBeLessThan(10_000);
    await server.restart();
    expect(await store.head('c/killed')).toBeNull();
    await inParts.putFile('c/killed', path());
    expect(bytes.equals(await store.get('c/killed'))).toBe(true);
    expect(String(await store.get('c/earlier'))).toBe('kept');
  });
});
