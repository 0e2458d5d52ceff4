import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PackReport } from '../../src/packing/report.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import { scene } from '../packing/pictures.ts';
import { cli } from '../support/cli.ts';
import { testServices } from '../support/services.ts';
import { until } from './runs.ts';

const services = testServices({ worker: true });
let connection: Connection;
let store: S3ObjectStore;
const count = 48;

beforeAll(async () => {
  const { temporal, s3 } = services();
  connection = await Connection.connect({ address: temporal!.address });
  store = new S3ObjectStore(s3!);
  const rows: string[] = [];
  for (let i = 0; i < count; i++) {
    const bytes = i % 8 === 7 ? Buffer.from('no picture') : await scene(i % 8 === 6 ? i - 6 : i, 200, 150);
    await store.put(`in/${i}.png`, bytes);
    rows.push(JSON.stringify({ file_name: `${i}.png`, text: `text ${i}` }));
  }
  await store.put('in/metadata.jsonl', rows.join('\n'));
});
afterAll(async () => {
  store.close();
  await connection.close();
});

const start = (name: string, to: string) =>
  new Client({ connection }).workflow.start('siglip2Pack', {
    taskQueue: 'siglip2',
    workflowId: name,
    args: [{ from: 'in', to, side: 64, partExamples: 4, shardBytes: 40_000 }],
  });

/** Names and hashes of what lies below a prefix. */
async function contents(to: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key } of store.list(`${to}/`)) found[key.slice(to.length)] = sha256(await store.get(key));
  return found;
}

const type = (...args: string[]) => cli(services().environment, ...args);

it('writes the same bytes when its worker is killed while it packs, and goes on by the same start', async () => {
  const calm = (await (await start('calm', 'calm')).result()) as PackReport;
  expect(calm).toMatchObject({
    layout: 'imagefolder',
    read: 48,
    examples: 36,
    duplicates: { exact: 6, near: 0, texts: 6, crowded: 0 },
  });
  expect(Object.values(calm.dropped).map(({ pictures, names }) => [pictures, names.length])).toEqual([[6, 6]]);
  const handle = await start('killed', 'killed');
  await until(async () => {
    for await (const _ of store.list('killed/_pack/packed/')) return true;
    return (await store.head('killed/pack.json')) !== null;
  });
  expect(await store.head('killed/pack.json')).toBe(null);
  services().kill('worker', 'SIGKILL');
  const { settings, ...killed } = (await handle.result()) as PackReport;
  expect({ ...killed, settings: { ...settings, to: 'calm' } }).toEqual(calm);
  expect(services().restarts('worker')).toBe(1);
  const { '/pack.json': _, ...shards } = await contents('calm');
  const { '/pack.json': report, ...others } = await contents('killed');
  expect([Object.keys(shards).length, typeof report]).toEqual([12, 'string']);
  expect(others).toEqual(shards);
  expect(await handle.query('status')).toMatchObject({ run: 'killed', state: 'done', failure: null });
  // What was done is not done again, and what is wrong is one sentence.
  expect(await (await start('killed', 'killed')).result()).toEqual({ ...killed, settings });
});

it('is started by a command, which follows it to its report', async () => {
  const [packed, refused] = await Promise.all([
    type('data', 'pack', 'in', 'data/packed', '--side', '64', '--caption', 'text:de'),
    type('data', 'pack', 'in', 'calm', '--side', '32'),
  ]);
  expect([packed.code, packed.out.split('\n').slice(1)]).toEqual([
    0,
    [
      '  of 48 in in (imagefolder)',
      '  once each: 6 had the pixels of another, 0 were near one; 6 texts of them were kept',
      '  left out: 6, not a PNG, JPEG, WebP, GIF, AVIF or TIFF image',
      '    metadata.jsonl line 8',
      '    metadata.jsonl line 16',
      '    metadata.jsonl line 24',
      '    and 3 more, of which pack.json names 3',
      '',
      'Put this into the recipe:',
      '  "data": {"train": "data/packed", "read": {"captions": "json"}}',
      '',
    ],
  ]);
  expect(packed.out).toMatch(/^data\/packed: 36 pictures in 1 shard, \d+\.\d [kM]B, [\d.]+ (kB|bytes) a picture\n/);
  expect(packed.said).toMatch(/^pack-data-packed is started; Ctrl-C leaves it running/);
  expect([refused.code, refused.out]).toEqual([1, '']);
  expect(refused.said).toMatch(/calm\/ holds a pack of other settings \(side 64, now 32; .*\): name another prefix/);
});
