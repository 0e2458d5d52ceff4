import { readFileSync } from 'node:fs';
import { CreateMultipartUploadCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checks } from '../../src/storage/checks/all.ts';
import { checkPrefix, clean, cleanLeft, runChecks } from '../../src/storage/checks/run.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { bentStores } from './bent-stores.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { startServer, type TestServer } from './versitygw.ts';

const parts = { multipartAbove: 5 * 1024 * 1024, partBytes: 5 * 1024 * 1024, pageKeys: 3 };
let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

async function keys(store: S3ObjectStore, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(prefix)) found.push(key);
  return found;
}

describe('on the store that we bring', () => {
  it('there are 60 checks and more, each with a name of its own', () => {
    expect(checks.length).toBeGreaterThanOrEqual(60);
    expect(new Set(checks.map(({ what }) => what)).size).toBe(checks.length);
    expect(readFileSync('src/storage/README.md', 'utf8')).toContain(`It tries ${checks.length} things`);
  });

  // One by one, so that a failure has a name; they leave nothing behind.
  it.each(checks.map((check, index) => [check.what, index] as const))('%s', async (_, index) => {
    const stores = { store: server.store(), small: server.store(parts) };
    for await (const { outcome, found } of runChecks(stores, 'one/', { checks: [checks[index]!] }))
      expect([outcome, found], found).toEqual(['pass', outcome === 'pass' ? found : '']);
    expect(await keys(stores.store, 'one/')).toEqual([]);
  });

  it.each(['/runs', 'a//b', '../runs', 'a/../b', 'a\nb'])('a prefix %j is refused', (prefix) => {
    expect(() => checkPrefix(prefix)).toThrow(/^--prefix is ".*"; allowed: where keys begin, such as runs\/ or trial/);
  });

  it('what checks left that were killed is cleaned when it is an hour old, and nothing else', async () => {
    const store = server.store();
    const [old, young, own] = [0, 1, 2].map(() => checkPrefix('runs'));
    await store.put(`${old}00/object`, 'left');
    await server.age(`${old}00/object`, 2 * 3_600_000);
    await store.put(`${young}00/object`, 'another check-store is at work');
    await store.put('runs/pets/run.json', 'a run');
    await server.age('runs/pets/run.json', 2 * 3_600_000);
    await store.put(`${own}here`, '');
    await cleanLeft(store, 'runs', own!);
    expect(await keys(store)).toEqual([`${young}00/object`, `${own}here`, 'runs/pets/run.json'].sort());
    for (const key of await keys(store)) await store.delete(key);
  });
});

describe('a store of which one thing is not so is found out by the check of that', () => {
  it.each(Object.entries(bentStores))('one that %s', async (_, { bend, group, found, also }) => {
    const stores = { store: server.store(), small: server.store(parts) };
    for (const { client } of Object.values(stores)) bend(client);
    const failed: string[] = [];
    const own = checks.filter((check) => check.group === group);
    for await (const { outcome, what } of runChecks(stores, 'bent/', { checks: own }))
      if (outcome === 'fail') failed.push(what);
    expect(failed).toEqual(expect.arrayContaining([...found]));
    expect(failed.filter((what) => !found.includes(what) && !also?.test(what))).toEqual([]);
  });

  describe('in what comes over the wire', () => {
    let proxy: FaultProxy;
    beforeAll(async () => {
      proxy = await startFaultProxy(server.endpoint);
    });
    afterAll(() => proxy.close());

    async function failures(group: string): Promise<Record<string, string | undefined>> {
      const at = { endpoint: proxy.endpoint, attempts: 1 };
      const stores = { store: server.store(at), small: server.store({ ...parts, ...at }) };
      const failed: Record<string, string | undefined> = {};
      const own = checks.filter((check) => check.group === group);
      for await (const { outcome, what, found } of runChecks(stores, 'wire/', { checks: own }))
        if (outcome === 'fail') failed[what] = found?.replaceAll(proxy.endpoint, 'ENDPOINT');
      return failed;
    }

    it('one that turns bytes over', async () => {
      proxy.faults = [{ at: ({ line }) => line.startsWith('GET /test/wire/00/'), act: 'flip', times: 100 }];
      expect(await failures('objects')).toEqual({
        'what is put is what is got': 'other bytes came back than were written',
      });
    });

    it('one that lets nobody delete', async () => {
      const refusal = { status: 403, code: 'AccessDenied', message: 'Access Denied.' };
      proxy.faults = [{ at: ({ line }) => line.startsWith('DELETE /test/wire/11/'), act: refusal, times: 100 }];
      expect(await failures('objects')).toEqual({
        'deleting what is not there is no error':
          'ENDPOINT refused the credentials for s3://test/wire/11/never (403 AccessDenied: Access Denied, access key id ending in 1234); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a pair that may read and write the bucket',
      });
    });

    it('one that goes away is told so at once, and not by each check', async () => {
      const stores = { store: server.store({ endpoint: proxy.endpoint, attempts: 1 }), small: server.store(parts) };
      const done: string[] = [];
      const work = async () => {
        for await (const { what } of runChecks(stores, 'away/')) {
          done.push(what);
          const busy = { status: 503, code: 'SlowDown' };
          if (done.length === 3) proxy.faults = [{ at: () => true, act: busy, times: 1000 }];
        }
      };
      await expect(work()).rejects.toMatchObject({ code: 'StorageUnavailable' });
      expect(done).toHaveLength(3);
      proxy.faults = [];
      await clean(server.store(), 'away/');
    });

    it('one that does not list uploads: runs do without, and it is told', async () => {
      const refusal = { status: 501, code: 'NotImplemented', message: 'not here' };
      proxy.faults = [{ at: ({ line }) => /^GET \/test\/?\?(.*&)?uploads/.test(line), act: refusal, times: 100 }];
      const found = await failures('bucket');
      expect(found).toEqual({
        'uploads that were cut off can be listed':
          '501 NotImplemented (s3:ListBucketMultipartUploads): their parts stay until a rule of the bucket ends them',
      });
      expect(checks.find(({ what }) => what in found)?.without).toBeUndefined();
    });
  });
});

it('of a bucket with versions it tells that it is one, and what versitygw 1.8.0 takes for there that was deleted', async () => {
  const versioned = await startServer({ versions: true });
  try {
    const stores = { store: versioned.store(), small: versioned.store(parts) };
    const failed: string[] = [];
    for await (const { outcome, what, found } of runChecks(stores, 'versions/'))
      if (outcome === 'fail') failed.push(`${what}: ${found}`);
    expect(failed).toEqual([
      'a key whose object was deleted can be created again: s3://test/versions/36/object was not written: another writer was first',
      'an object that was deleted can not be replaced (If-Match): the write was taken',
      'the bucket is not versioned: it is: what is pruned is deleted by version, which takes a request more for each object',
    ]);
    const left: string[] = [];
    for await (const key of stores.store.listVersioned('')) left.push(key);
    expect(left).toEqual([]);
  } finally {
    await versioned.stop();
  }
});

it('what a check leaves open is cleaned as well: objects and uploads', async () => {
  const store = server.store();
  const dirty = {
    group: 'parts',
    what: 'leaves things behind',
    async run({ store: of, key }: { store: S3ObjectStore; key(name: string): string }) {
      await of.put(key('object'), 'left');
      await of.client.send(new CreateMultipartUploadCommand({ Bucket: of.bucket, Key: key('upload') }));
      return undefined;
    },
  } as const;
  for await (const { outcome } of runChecks({ store, small: store }, 'dirty/', { checks: [dirty] }))
    expect(outcome).toBe('pass');
  expect(await keys(store, 'dirty/')).toEqual([]);
  const uploads: string[] = [];
  for await (const { key } of store.listUploads('dirty/')) uploads.push(key);
  expect(uploads).toEqual([]);
});
