import { afterEach, beforeEach, expect, it } from 'vitest';
import { LogReader } from '../../src/run-logs/read.ts';
import { tidyLogs } from '../../src/run-logs/tidy.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { linesOf, logsHere, place, speaker, texts } from './fixture.ts';

let here: ReturnType<typeof logsHere>;
beforeEach(() => {
  here = logsHere();
});
afterEach(() => here.close());
const limits = { settledMs: 0, looseObjects: 10, joinedBytes: 3000 };
const lines = (count: number) => Array.from({ length: count }, (_, i) => `line ${i}`);

/** So many objects of a line each. */
async function written(count: number): Promise<void> {
  let now = Date.parse('2026-11-27T07:30:00Z');
  const logs = await here.open({ now: () => now, limits: { everyMs: 0 } });
  const log = logs.at(place, speaker);
  for (const line of lines(count)) {
    log.say('info', {}, line);
    logs.tick();
    now += 1000;
  }
  await logs.close(1000);
  expect(here.store.objects.size).toBe(count);
}

it('small objects become a few, which say the same', async () => {
  await written(60);
  const before = await here.read();
  await tidyLogs(here.store, place, limits);
  expect(here.store.objects.size).toBeLessThan(10);
  for (const body of here.store.objects.values()) expect(body.length).toBeLessThanOrEqual(3000);
  expect(await here.read()).toEqual(before);
  // What has become large stays as it is; a second time changes nothing.
  const keys = [...here.store.objects.keys()];
  await tidyLogs(here.store, place, limits);
  expect([...here.store.objects.keys()]).toEqual(keys);
});

it('killed at any request, or done by two at once, no line is lost, and none is told twice', async () => {
  await written(25);
  const before = await here.read();
  const original = new Map(here.store.objects);
  // The requests that change something: a put and its purges.
  for (let dies = 0; dies < 40; dies += 3) {
    here.store.objects.clear();
    for (const [key, body] of original) here.store.objects.set(key, body);
    let left = dies;
    const die = () => {
      if (left-- === 0) throw new Error('killed');
    };
    const store = Object.assign(Object.create(here.store), {
      put: async (key: string, body: string) => {
        die();
        return here.store.put(key, body);
      },
      purge: async (key: string) => {
        die();
        return here.store.purge(key);
      },
    });
    await tidyLogs(store, place, limits).catch(() => {});
    expect(await here.read()).toEqual(before);
    await Promise.all([tidyLogs(here.store, place, limits), tidyLogs(here.store, place, limits)]);
    expect(await here.read()).toEqual(before);
    expect(here.store.objects.size).toBeLessThan(15);
  }
});

it('whoever follows while objects are joined under their hands sees each line once', async () => {
  await written(25);
  const reader = new LogReader(here.store, place);
  let joined = false;
  here.store.beforeGet = (key) => {
    if (joined) return;
    joined = true;
    // As if another had done it between the listing and the first request.
    const bodies = [...here.store.objects.values()].join('');
    here.store.objects.clear();
    here.store.objects.set(key.replace(/Z-.*/, 'Z-joined-0123456789abcdef-000025.jsonl'), Buffer.from(bodies));
    throw new RunnerError('ObjectMissing', `no object ${key}`);
  };
  expect(texts(await linesOf(reader))).toEqual(lines(25));
  expect(await linesOf(reader)).toEqual([]);
});

it('of more than it keeps the oldest goes, which is told', async () => {
  await written(30);
  const bytes = [...here.store.objects.values()].reduce((sum, body) => sum + body.length, 0);
  const keepBytes = Math.round(bytes / 2);
  for (const times of [1, 2]) {
    await tidyLogs(here.store, place, { ...limits, keepBytes });
    const found = texts(await here.read());
    expect(found[0], String(times)).toMatch(/^earlier lines are gone: a log keeps its last /);
    expect(found.slice(1)).toEqual(lines(30).slice(-(found.length - 1)));
    expect(found.length).toBeGreaterThan(13);
    expect(found.length).toBeLessThan(17);
  }
});

it('lines from a time on leave objects of before alone, and lines of broken objects are counted', async () => {
  await written(5);
  const [first] = here.store.objects.keys();
  here.store.objects.set(first!, Buffer.concat([here.store.objects.get(first!)!, Buffer.from('{"time":\nnot json\n')]));
  here.store.objects.set('logs/pets/pretrain/20261127T073000000Z-x-000001.jsonl', Buffer.from('\0\xff no log\n'));
  here.store.objects.set('logs/pets/pretrain/notes.txt', Buffer.from('of someone else'));
  const found = texts(await here.read());
  expect(found).toEqual(['line 0', "2 lines here can't be read", 'line 1', 'line 2', 'line 3', 'line 4']);
  const reader = new LogReader(here.store, place);
  expect(texts(await linesOf(reader, Date.parse('2026-11-27T07:30:03Z')))).toEqual(['line 3', 'line 4']);
});
