import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { keepDocument } from '../../activities/documents.ts';
import { readRange } from '../../src/data/index/part-reader.ts';
import { probeConditionalWrites } from '../../src/storage/conditional-writes.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { startServer, type TestServer } from './versitygw.ts';

const MiB = 1024 * 1024;
const often = 1000;
let server: TestServer;
let proxy: FaultProxy;
/** The real store, as it would be with faults. */
let store: S3ObjectStore;
let folder: string;
beforeAll(async () => {
  server = await startServer();
  proxy = await startFaultProxy(server.endpoint);
  store = server.store({ endpoint: proxy.endpoint });
  folder = await mkdtemp(join(tmpdir(), 'siglip2-refusals-'));
});
afterAll(async () => {
  await proxy.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});
afterEach(() => {
  proxy.faults = [];
  proxy.lines.length = 0;
  vi.unstubAllEnvs();
});

const on =
  (start: string): Fault['at'] =>
  ({ line }) =>
    line.startsWith(start);
const sumHeader = (headers: object) =>
  ['x-amz-checksum-crc32', 'x-amz-sdk-checksum-algorithm'].find((name) => name in headers);

/** As early R2, and OVH, answer any write with a checksum. */
const noChecksums = (status: number, code: string, message: string): Fault => ({
  at: ({ line, headers }) => /^(PUT|POST)/.test(line) && sumHeader(headers) !== undefined,
  act: { status, code, message },
  times: often,
});

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(prefix)) found.push(key);
  return found;
}

async function file(bytes: number): Promise<{ path: string; content: Buffer }> {
  const content = randomBytes(bytes);
  const path = join(folder, String(bytes));
  await writeFile(path, content);
  return { path, content };
}

describe('the probe', () => {
  it('passes on this store, and leaves nothing behind', async () => {
    await probeConditionalWrites(store);
    expect(await keys('runs/')).toEqual([]);
  });

  it('succeeds though each of its answers is lost in turn', async () => {
    await probeConditionalWrites(store);
    const requests = proxy.lines.length;
    expect(requests).toBeGreaterThanOrEqual(6);
    for (let lost = 0; lost < requests; lost++) {
      let seen = 0;
      proxy.faults = [{ at: () => seen++ === lost, act: 'lose' }];
      await probeConditionalWrites(server.store({ endpoint: proxy.endpoint }));
      expect(seen).toBeGreaterThan(lost);
      expect(await keys('runs/')).toEqual([]);
    }
  });

  it('removes what a probe left that was killed over it, when no probe can be at it any more', async () => {
    await store.put('runs/.probe-killed', 'first');
    await store.put('runs/other', 'kept');
    await probeConditionalWrites(store);
    expect(await keys('runs/')).toEqual(['runs/.probe-killed', 'runs/other']);
    await server.age('runs/.probe-killed', 2 * 3_600_000);
    await probeConditionalWrites(store);
    expect(await keys('runs/')).toEqual(['runs/other']);
    await store.delete('runs/other');
  });

  it.each<[string, Fault, string]>([
    [
      'ignores conditions',
      { at: () => true, act: { instead: 200, of: 412 }, times: often },
      'the store of bucket test ignores If-None-Match, so two workers could both commit one step; use a store with conditional writes (AWS S3, versitygw, MinIO, Ceph, Cloudflare R2)',
    ],
    [
      'answers 304 in place of 412',
      { at: () => true, act: { instead: 304, of: 412 }, times: often },
      'the store of bucket test does not know If-None-Match (ENDPOINT refused the request for s3://test/KEY (304)), so two workers could both commit one step; use a store with conditional writes (AWS S3, versitygw, MinIO, Ceph, Cloudflare R2)',
    ],
    [
      'does not know them',
      {
        at: ({ headers }) => headers['if-none-match'] !== undefined,
        act: { status: 501, code: 'NotImplemented', message: 'If-None-Match is not implemented' },
        times: often,
      },
      'the store of bucket test does not know If-None-Match (ENDPOINT refused the request for s3://test/KEY (501 NotImplemented: If-None-Match is not implemented)), so two workers could both commit one step; use a store with conditional writes (AWS S3, versitygw, MinIO, Ceph, Cloudflare R2)',
    ],
  ])('finds out a store that %s', async (_, fault, sentence) => {
    proxy.faults = [fault];
    const error = await probeConditionalWrites(store).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'ConditionalWritesMissing', retryable: false });
    expect(error.message.replaceAll(proxy.endpoint, 'ENDPOINT').replace(/runs\/\.probe-[0-9a-f-]{36}/, 'KEY')).toBe(
      sentence,
    );
    expect(await keys('runs/')).toEqual([]);
  });

  it.each<[number, string, string]>([
    [501, 'NotImplemented', "Header 'x-amz-checksum-crc32' with value 'x' not implemented"],
    [400, 'InvalidArgument', 'x-amz-sdk-checksum-algorithm is not supported'],
  ])('tells a store that takes no checksums (%i %s) in its own words, with the setting', async (status, code, text) => {
    proxy.faults = [noChecksums(status, code, text)];
    const error = await probeConditionalWrites(store).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'StorageRefused', retryable: false });
    expect(error.message.replace(/s3:\S+/, 'OBJECT')).toBe(
      `${proxy.endpoint} refused the request for OBJECT (${status} ${code}: ${text}); it takes no checksums of this kind: set AWS_REQUEST_CHECKSUM_CALCULATION=when_required`,
    );
  });

  it.each([200, 404])('tells a page for people (%i) as no S3 endpoint', async (status) => {
    proxy.faults = [{ at: () => true, act: { status, html: '<!doctype html><title>login</title>' }, times: often }];
    const sentence = `${proxy.endpoint} is not an S3 endpoint: it answered ${status} with an HTML page; set AWS_ENDPOINT_URL to the address of the store's S3 API, which is not that of its console`;
    const requests: (() => Promise<unknown>)[] = [
      () => probeConditionalWrites(store),
      () => store.get('k'),
      () => keys('runs/'),
    ];
    // The answer to a HEAD has no page; 404 is that of a missing object.
    if (status === 200) requests.push(() => store.head('k'));
    for (const request of requests)
      await expect(request()).rejects.toMatchObject({ code: 'StorageRefused', message: sentence });
  });

  it('says that a store lets nobody delete', async () => {
    proxy.faults = [
      { at: on('DELETE'), act: { status: 403, code: 'AccessDenied', message: 'no s3:DeleteObject' }, times: often },
    ];
    await expect(probeConditionalWrites(store)).rejects.toMatchObject({
      code: 'CredentialsRefused',
      message: expect.stringContaining('(403 AccessDenied: no s3:DeleteObject, access key id ending in 1234)'),
    });
    proxy.faults = [];
    for (const key of await keys('runs/')) await store.delete(key);
  });
});

describe('when_required', () => {
  beforeAll(() => file(11 * MiB));

  it.each([5 * MiB, 64 * MiB])(
    'sends no checksum with any upload, but a signed hash (parts above %i)',
    async (above) => {
      vi.stubEnv('AWS_REQUEST_CHECKSUM_CALCULATION', 'when_required');
      const sums: string[] = [];
      const hashes = new Set<string>();
      proxy.faults = [
        noChecksums(501, 'NotImplemented', 'no checksums'),
        {
          at({ line, headers }) {
            if (/^(PUT|POST)/.test(line))
              hashes.add(String(headers['x-amz-content-sha256']).replace(/^[0-9a-f]{64}$/, 'its sha256'));
            sums.push(...Object.keys(headers).filter((name) => /checksum|trailer/.test(name) && line.startsWith('P')));
            return false;
          },
          act: 'lose',
        },
      ];
      const { path, content } = await file(11 * MiB);
      const plain = server.store({ endpoint: proxy.endpoint, multipartAbove: above, partBytes: 5 * MiB });
      await probeConditionalWrites(plain);
      await plain.putFile('w/file', path, { ifAbsent: true });
      await plain.put('w/small', 'text');
      expect(content.equals(await plain.get('w/file'))).toBe(true);
      expect(sums).toEqual([]);
      expect([...hashes]).toEqual(['its sha256']);
      await plain.delete('w/file');
    },
  );

  it('without it the upload of a checkpoint ends at once, in the words of the store', async () => {
    proxy.faults = [noChecksums(501, 'NotImplemented', "Header 'x-amz-checksum-crc32' not implemented")];
    const { path } = await file(11 * MiB);
    for (const multipartAbove of [5 * MiB, 64 * MiB])
      await expect(
        server.store({ endpoint: proxy.endpoint, multipartAbove }).putFile('w/refused', path),
      ).rejects.toMatchObject({
        code: 'StorageRefused',
        retryable: false,
        message: expect.stringContaining('set AWS_REQUEST_CHECKSUM_CALCULATION=when_required'),
      });
  });

  it.each(['when_required', 'when_supported'])(
    'a lost answer to the joining of parts is no failure (%s)',
    async (setting) => {
      vi.stubEnv('AWS_REQUEST_CHECKSUM_CALCULATION', setting);
      proxy.faults = [{ at: ({ line }) => /^POST .*uploadId=/.test(line), act: 'lose' }];
      const { path, content } = await file(11 * MiB);
      const parts = server.store({ endpoint: proxy.endpoint, multipartAbove: 5 * MiB, partBytes: 5 * MiB });
      const { etag } = await parts.putFile(`w/${setting}`, path);
      expect(etag).toBe((await store.head(`w/${setting}`))?.etag);
      expect(content.equals(await store.get(`w/${setting}`))).toBe(true);
    },
  );
});

describe('what a store lacks and we can do without counts as none', () => {
  const uploads = ({ line }: { line: string }) => /^GET .*[?&]uploads/.test(line);
  const versioning = ({ line }: { line: string }) => /^GET .*[?&]versioning/.test(line);
  it.each<[number, string]>([
    [400, 'InvalidRequest'],
    [403, 'AccessDenied'],
    [405, 'MethodNotAllowed'],
    [501, 'NotImplemented'],
  ])('%i %s to the listing of uploads and to the question for versions', async (status, code) => {
    const act = { status, code };
    proxy.faults = [
      { at: uploads, act, times: often },
      { at: versioning, act, times: often },
    ];
    const lacking = server.store({ endpoint: proxy.endpoint });
    await lacking.put('l/one', 'x');
    for await (const upload of lacking.listUploads('l/')) expect(upload).toBeUndefined();
    for await (const key of lacking.listVersioned('l/')) expect(key).toBeUndefined();
    await lacking.purge('l/one');
    expect(await lacking.head('l/one')).toBeNull();
    expect(proxy.lines.filter((line) => uploads({ line }) || versioning({ line }))).toHaveLength(2);
  });

  it('but not what only passes, or a token that is over', async () => {
    for (const [status, code, expected] of [
      [503, 'SlowDown', 'StorageUnavailable'],
      [400, 'ExpiredToken', 'CredentialsRefused'],
    ] as const) {
      proxy.faults = [{ at: uploads, act: { status, code }, times: often }];
      const [found] = await Promise.allSettled([
        (async () => {
          for await (const upload of store.listUploads('l/')) expect(upload).toBeUndefined();
        })(),
      ]);
      expect(found).toMatchObject({ status: 'rejected', reason: { code: expected } });
    }
  });
});

describe('what is said once and passes', () => {
  it.each<[number, string]>([
    [403, 'RequestTimeTooSkewed'],
    [400, 'ExpiredToken'],
  ])('%i %s is asked again, for each kind of request; said twice it is final', async (status, code) => {
    await store.put('m/one', 'text');
    const { path } = await file(11 * MiB);
    const parts = server.store({ endpoint: proxy.endpoint, multipartAbove: 5 * MiB, partBytes: 5 * MiB });
    const requests: [string, () => Promise<unknown>][] = [
      ['PUT', () => store.put('m/one', 'text')],
      ['GET', () => store.get('m/one')],
      ['HEAD', () => store.head('m/one')],
      ['GET', () => keys('m/')],
      ['PUT', () => parts.putFile('m/file', path)],
    ];
    for (const [method, request] of requests) {
      proxy.faults = [{ at: on(method), act: { status, code } }];
      await request();
    }
    proxy.faults = [{ at: on('GET'), act: { status, code }, times: often }];
    await expect(store.get('m/one')).rejects.toMatchObject({ code: 'CredentialsRefused', retryable: false });
    expect(proxy.lines.filter((line) => line === 'GET /test/m/one?x-id=GetObject')).toHaveLength(4);
  });

  it('a shard that is missing once is asked for again, and gone when it is missing twice', async () => {
    const { etag } = await store.put('m/shard.tar', '0123456789');
    const shard = { key: 'm/shard.tar', bytes: 10, etag };
    const act = { status: 404, code: 'NoSuchKey' };
    proxy.faults = [{ at: on('GET /test/m/shard.tar'), act }];
    expect(String(await readRange(store, shard, 2, 3))).toBe('234');
    proxy.faults = [{ at: on('HEAD /test/m/shard.tar'), act }];
    expect(await store.head('m/shard.tar')).toMatchObject({ bytes: 10, etag });
    proxy.faults = [{ at: on('GET /test/m/shard.tar'), act, times: 2 }];
    await expect(readRange(store, shard, 2, 3)).rejects.toMatchObject({
      code: 'DataContract',
      message: expect.stringContaining('shard m/shard.tar is gone from bucket test'),
    });
  });

  it('a deletion that another was before is done, whatever the store says, and one in a bucket that is not there is not', async () => {
    await store.put('m/twice', 'body');
    proxy.faults = [{ at: on('DELETE /test/m/twice'), act: { status: 404, code: 'NoSuchKey' } }];
    await store.delete('m/twice');
    expect(proxy.lines.filter((line) => line.startsWith('DELETE'))).toHaveLength(1);
    proxy.faults = [{ at: on('DELETE /test/m/twice'), act: { status: 404, code: 'NoSuchBucket' } }];
    await expect(store.delete('m/twice')).rejects.toMatchObject({ code: 'BucketMissing' });
  });

  it('a token that was replaced in the credentials file meanwhile is found there', async () => {
    const path = join(folder, 'credentials');
    const write = (id: string) =>
      writeFile(path, `[default]\naws_access_key_id = ${id}\naws_secret_access_key = s\naws_session_token = t\n`);
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', path);
    const { endpoint } = proxy;
    await write('OLDKEY0123456789');
    const chained = new S3ObjectStore({ endpoint, region: 'us-east-1', bucket: 'test' });
    const seen: string[] = [];
    const at: Fault['at'] = ({ headers }) => {
      seen.push(/Credential=([^/]+)/.exec(headers.authorization ?? '')![1]!);
      return seen.at(-1) === 'OLDKEY0123456789';
    };
    proxy.faults = [{ at, act: { status: 400, code: 'ExpiredToken', message: 'over' }, times: often }];
    await expect(chained.get('m/one')).rejects.toThrow(
      `the credentials for s3://test/m/one at ${endpoint} have expired (400 ExpiredToken: over); set AWS_SESSION_TOKEN`,
    );
    await write('NEWKEY0123456789');
    // The store does not know the new key: that it was asked with it is what counts.
    await expect(chained.get('m/one')).rejects.toThrow('access key id ending in 6789');
    expect(seen).toEqual(['OLDKEY0123456789', 'OLDKEY0123456789', 'OLDKEY0123456789', 'NEWKEY0123456789']);
    chained.close();
  });

  it('409 without end is no success and no loss of a race, but tried again later', async () => {
    proxy.faults = [
      { at: on('PUT'), act: { status: 409, code: 'ConditionalRequestConflict', message: 'in flight' }, times: often },
    ];
    const put = store.put('m/conflict', 'text', { ifAbsent: true });
    await expect(put).rejects.toMatchObject({ code: 'StorageUnavailable', retryable: true });
    await expect(put).rejects.toThrow(
      's3://test/m/conflict was not written: other writes to it are in flight (409 ConditionalRequestConflict: in flight); it is tried again later',
    );
    expect(await store.head('m/conflict')).toBeNull();
    await expect(keepDocument(store, 'conflict', 'settings', {})).rejects.toMatchObject({ code: 'StorageUnavailable' });
    expect(await keys('runs/conflict/')).toEqual([]);
  });

  it('409 of a folder is asked again, since it may be one that is being removed, and is a refusal when it stays', async () => {
    const act = { status: 409, code: 'ExistingObjectIsDirectory', message: 'Existing Object is a directory.' };
    proxy.faults = [{ at: on('PUT'), act, times: 2 }];
    await store.put('m/folder', 'text', { ifAbsent: true });
    expect((await store.get('m/folder')).toString()).toBe('text');
    proxy.faults = [{ at: on('PUT'), act, times: often }];
    const put = store.put('m/other', 'text', { ifAbsent: true });
    await expect(put).rejects.toMatchObject({ code: 'StorageRefused' });
    await expect(put).rejects.toThrow('409 ExistingObjectIsDirectory: Existing Object is a directory');
  });
});

describe('answers that trickle', () => {
  it('a byte now and then is given up, asked for again, and in the end StorageUnavailable', async () => {
    const content = randomBytes(100_000);
    await store.put('t/slow', content);
    const hasty = server.store({ endpoint: proxy.endpoint, slowMs: 500, attempts: 2 });
    proxy.faults = [{ at: on('GET /test/t/slow'), act: 'trickle' }];
    const began = Date.now();
    expect(content.equals(await hasty.get('t/slow'))).toBe(true);
    proxy.faults = [{ at: on('GET /test/?list-type'), act: 'trickle' }];
    const found: string[] = [];
    for await (const { key } of hasty.list('t/')) found.push(key);
    expect(found).toEqual(['t/slow']);
    proxy.faults = [{ at: on('GET /test/t/slow'), act: 'trickle', times: often }];
    const failed = hasty.get('t/slow');
    await expect(failed).rejects.toMatchObject({ code: 'StorageUnavailable', retryable: true });
    await expect(failed).rejects.toThrow('no answer');
    expect(Date.now() - began).toBeLessThan(10_000);
  });

  it('what comes at ten times the least rate is waited for', async () => {
    const content = randomBytes(8_000);
    await store.put('t/steady', content);
    proxy.faults = [{ at: on('GET /test/t/steady'), act: 'steady' }];
    const hasty = server.store({ endpoint: proxy.endpoint, slowMs: 500 });
    expect(content.equals(await hasty.get('t/steady'))).toBe(true);
    expect(proxy.lines).toHaveLength(2);
  });
});
