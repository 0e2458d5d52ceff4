import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readFilter } from '../../src/data/index/filter-document.ts';
import type { FilterReport } from '../../src/filtering/report.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import type { RecipeResult } from '../../workflows/results.ts';
import { tinyRecipe } from '../faults/harness.ts';
import { weightsOf } from '../filtering/run.ts';
import { shardOf } from '../filtering/shard.ts';
import { scene } from '../packing/pictures.ts';
import { cli } from '../support/cli.ts';
import { testServices } from '../support/services.ts';
import { start, until } from './runs.ts';

const services = testServices({ worker: true });
let connection: Connection;
let store: S3ObjectStore;
let client: Client;
const [shards, perShard] = [24, 8];
const folder = mkdtempSync(join(tmpdir(), 'siglip2-filter-'));

beforeAll(async () => {
  const { temporal, s3 } = services();
  connection = await Connection.connect({ address: temporal!.address });
  client = new Client({ connection });
  store = new S3ObjectStore(s3!);
  for (let shard = 0; shard < shards; shard++) {
    const numbers = Array.from({ length: perShard }, (_, i) => shard * perShard + i);
    const examples = numbers.map(async (i) => {
      // Of four pictures the last is one of the shard before.
      const seed = i % 4 === 3 && shard > 0 ? i - perShard - 1 : i;
      return { image: await scene(seed, 200, 150), texts: [`text ${i} of ${shard}`] };
    });
    await store.put(`data/web/${String(shard).padStart(2, '0')}.tar`, shardOf(await Promise.all(examples)));
  }
});
afterAll(async () => {
  store.close();
  await connection.close();
  rmSync(folder, { recursive: true });
});

const begin = (name: string) =>
  client.workflow.start('siglip2Filter', {
    taskQueue: 'siglip2',
    workflowId: `filter-${name}`,
    args: [{ name, data: 'data/web', duplicates: {} }],
  });

/** Names and hashes of the weights of a filter, and what else lies there. */
async function contents(name: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key } of store.list(`filters/${name}/`))
    found[key.slice(`filters/${name}/`.length)] = sha256(await store.get(key));
  return found;
}

const type = (...args: string[]) => cli(services().environment, ...args);

const recipe = (filter: string) =>
  tinyRecipe({
    data: { train: 'data/web', filter },
    schedule: { total: { steps: 12 }, warmup: { steps: 2 } },
    checkpoint: { every: { steps: 6 }, shard: { steps: 12 } },
  });

it('comes to the same bytes when its worker is killed at work, and goes on by itself', async () => {
  const calm = (await (await begin('calm')).result()) as FilterReport;
  const copies = calm.masked['duplicates: equal pixels']!;
  expect(calm).toMatchObject({ examples: 192, kept: 192 - copies, broken: 0, shards: 24, notes: {} });
  expect(copies).toBe(46);
  const handle = await begin('killed');
  await until(async () => {
    for await (const { key } of store.list('filters/killed/')) if (key.includes('/work/looked/')) return true;
    return (await store.head('filters/killed.json')) !== null;
  });
  expect(await store.head('filters/killed.json')).toBe(null);
  services().kill('worker', 'SIGKILL');
  const killed = (await handle.result()) as FilterReport;
  expect(killed).toEqual({ ...calm, name: 'killed', settings: { ...calm.settings, name: 'killed' } });
  expect(services().restarts('worker')).toBe(1);
  expect(await weightsOf(store, 'killed')).toEqual(await weightsOf(store, 'calm'));
  const weights = (all: Record<string, string>) => Object.entries(all).filter(([key]) => key.endsWith('.weights'));
  expect(weights(await contents('killed'))).toEqual(weights(await contents('calm')));
  expect(Object.keys(await contents('killed')).filter((key) => key.includes('/work/'))).toEqual([]);
  expect(await handle.query('status')).toMatchObject({ run: 'filter-killed', state: 'done', failure: null });
  // What is done is not done again.
  expect(await (await begin('killed')).result()).toEqual(killed);
});

it('is shown by its command, told by plan, and trained with', async () => {
  const { kept } = await readFilter(store, 'calm');
  const file = join(folder, 'recipe.json');
  writeFileSync(file, JSON.stringify(recipe('calm')));
  const [shown, planned, result] = await Promise.all([
    type('data', 'filter', 'calm'),
    type('plan', file),
    (await start(client, 'filtered', recipe('calm'))).result() as Promise<RecipeResult>,
  ]);
  expect([shown.code, shown.out]).toEqual([
    0,
    expect.stringMatching(/^filter calm: 146 of 192 examples remain \(76\.0 %\), in 24 shards\n {2}left out: 46 /),
  ]);
  expect([planned.code, planned.out]).toEqual([
    0,
    expect.stringContaining(`\n  filter calm: ${kept} of 192 examples remain\n`),
  ]);
  const [phase] = result.phases;
  // 384 draws, of which a quarter falls on copies.
  expect(phase!.filtered).toBeGreaterThan(60);
  expect(phase!.filtered).toBeLessThan(200);
  expect(phase!.skipped).toBe(undefined);
});

it('has every example embedded by a device, and leaves out those that agree least, and copies by embedding', async () => {
  const input = {
    name: 'agreeing',
    data: 'data/web',
    model: { run: 'filtered', phase: 'pretrain' },
    agreement: { lowest: 0.25 },
    embeddingDuplicates: { cosine: 0.9999 },
  };
  const of = { taskQueue: 'siglip2', workflowId: 'filter-agreeing', args: [input] };
  const report = (await (await client.workflow.start('siglip2Filter', of)).result()) as FilterReport;
  const [reason, count] = Object.entries(report.masked).find(([reason]) => reason.startsWith('agreement'))!;
  expect(reason).toMatch(/^agreement: a cosine below -?[\d.]+$/);
  // Those that are one step or more below the bound: of equal ones none goes.
  expect(count).toBeGreaterThan(30);
  expect(count).toBeLessThanOrEqual(48);
  // Of the copies of before those are left that did not go for their texts, and their embeddings are the same.
  expect(report.masked['embeddingDuplicates: a cosine of 0.9999 or more']).toBeGreaterThan(15);
  expect(Object.keys(report.notes)).toHaveLength(5);
  const held: string[] = [];
  for await (const { key } of store.list('runs/filtered/pretrain/pins/')) held.push(key);
  expect(held).toEqual([]);
});
