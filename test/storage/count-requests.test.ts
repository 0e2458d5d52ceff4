import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countingStore, listenToThreads, noStoreUse, takeRest } from '../../src/runtime/store-use.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { startServer, type TestServer } from './versitygw.ts';

let server: TestServer;
let proxy: FaultProxy;
let folder: string;
beforeAll(async () => {
  server = await startServer();
  proxy = await startFaultProxy(server.endpoint);
  folder = await mkdtemp(join(tmpdir(), 'count-requests-'));
});
afterAll(async () => {
  await proxy.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

describe('requests of a piece of work', () => {
  it('are as many as went over the wire, tries that failed too, and as many bytes; deletions are free', async () => {
    const store = server.store({ endpoint: proxy.endpoint, multipartAbove: 6 * 2 ** 20, partBytes: 5 * 2 ** 20 });
    await writeFile(join(folder, 'large'), randomBytes(12 * 2 ** 20));
    const use = noStoreUse();
    await countingStore(use, async () => {
      await store.put('a/small', randomBytes(1000));
      await store.putFile('a/large', join(folder, 'large'));
      await store.get('a/small');
      await store.get('a/large', { offset: 100, size: 500 });
      await store.head('a/none');
      await store.copy('a/small', 'a/copy');
      for await (const _ of store.list('a/'));
      proxy.faults = [
        { at: ({ line }) => line.startsWith('GET /test/a/small'), act: { status: 503, code: 'SlowDown' } },
      ];
      expect(await store.get('a/small')).toHaveLength(1000);
      await store.delete('a/copy');
    });
    const lines = (of: RegExp) => proxy.lines.filter((line) => of.test(line)).length;
    const [lists, deletions] = [lines(/^GET [^?]*\?.*list-type=2/), lines(/^DELETE /)];
    expect([lists, deletions]).toEqual([1, 1]);
    expect(use.writes).toBe(lines(/^(PUT|POST) /) + lists);
    expect(use.reads).toBe(lines(/^(GET|HEAD) /) - lists);
    expect(use.reads + use.writes).toBe(proxy.lines.length - deletions);
    // A few bytes more: what a multipart upload says at its end, answers of lists, and of what was refused.
    const written = 1000 + 12 * 2 ** 20;
    expect(use.writtenBytes).toBeGreaterThanOrEqual(written);
    expect(use.writtenBytes).toBeLessThan(written + 2000);
    expect(use.readBytes).toBeGreaterThanOrEqual(1000 + 500 + 1000);
    expect(use.readBytes).toBeLessThan(2500 + 3000);
  });

  it('are those of that work alone, whatever goes on beside it', async () => {
    const store = server.store();
    const [one, two] = [noStoreUse(), noStoreUse()];
    const puts = (count: number) => async () => {
      for (let i = 0; i < count; i++) await store.put(`b/${count}-${i}`, 'x');
    };
    await Promise.all([countingStore(one, puts(3)), countingStore(two, puts(7)), puts(2)()]);
    expect([one.writes, two.writes]).toEqual([3, 7]);
  });

  it('of threads come to the process that they are of, once', async () => {
    takeRest();
    listenToThreads();
    const start = new URL('../../src/runtime/thread.mjs', import.meta.url);
    const module = new URL('./counting-thread.ts', import.meta.url).href;
    const thread = new Worker(start, { workerData: { module } });
    // It ends by itself: the channel keeps nothing alive.
    await new Promise((resolve, reject) => thread.once('exit', resolve).once('error', reject));
    const all = noStoreUse();
    await expect.poll(() => (all.reads += takeRest().reads)).toBe(5);
    expect(takeRest().reads).toBe(0);
  });
});
