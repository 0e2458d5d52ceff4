import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findShards, indexShards } from '../../activities/index-shards.ts';
import { plan } from '../../activities/plan.ts';
import type { IndexShardsInput } from '../../activities/types/indexing.ts';
import type { RunPlan } from '../../activities/types/plan.ts';
import { loadTokenizer } from '../../src/data/example/tokenizer.ts';
import type { ListedIndex } from '../../src/data/index/types.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { type Hands, hands } from '../activities/fixture.ts';
import { img2dataset } from '../data/img2dataset.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';

const smoke = JSON.parse(readFileSync(new URL('../../infra/recipes/smoke.json', import.meta.url), 'utf8'));
const temporal = testTemporal();
let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
beforeAll(async () => {
  // On a busy machine it takes longer than a beat may be missing, and what was done would be done again.
  loadTokenizer();
  server = await startServer();
  store = server.store();
  on = hands();
  for (let shard = 0; shard < 20; shard++) {
    const body = await img2dataset([`a picture of ${shard}`, `another one of ${shard}`], 2 * shard);
    await store.put(`data/web/${String(shard).padStart(5, '0')}.tar`, body);
  }
  await store.put('data/held-out/0.tar', await img2dataset(['a picture of 1']));
});
afterAll(async () => {
  await on.close();
  await server.stop();
});

it('the shards of a run are indexed by many before it is planned, each once, though some that do it die', async () => {
  const read = { captions: 'txt' };
  const recipe = { ...smoke, data: { train: 'data/web', evaluation: 'data/held-out', read } };
  const asked: IndexShardsInput[] = [];
  let planned: RunPlan | null = null;
  const shardReads: string[] = [];
  const counting = new Proxy(store, {
    get(of, name) {
      const value = Reflect.get(of, name, of);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]) => {
        if (name === 'get' && String(given[0]).startsWith('data/')) shardReads.push(String(given[0]));
        return Reflect.apply(value, of, given);
      };
    },
  });
  const deps = on.deps(counting);
  const found = await temporal.serving(
    {
      findShards: (input) => findShards(deps, input, on.attempt()),
      indexShards: async (input) => {
        const number = asked.push(input);
        const result = await indexShards(deps, input, on.attempt());
        // It made them, and died before it could say so.
        if (number === 5) throw new Error('the worker was killed');
        return result;
      },
      plan: async (input) => {
        // Of each shard its headers, and its texts for the tokens.
        expect(shardReads).toHaveLength(2 * 21);
        planned = await plan(deps, input, on.attempt());
        // Planning looked at its captions, and at nothing else.
        expect(shardReads).toHaveLength(3 * 21);
        return planned;
      },
    },
    async (client) => {
      const run = await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
        ...{ taskQueue: 'siglip2', workflowId: 'indexed', args: [recipe] },
      });
      await run.result();
      await keepHistory(client, 'indexed', 'recipe-indexed.json');
      return run.fetchHistory();
    },
  );
  // 21 shards in parts of one, and one of them twice.
  expect(asked).toHaveLength(22);
  expect(new Set(asked.map(({ from, to }) => `${from} ${to}`)).size).toBe(21);
  // Some events a part, and there are 200 of them at most.
  expect(found.events!.length).toBeLessThan(22 * 7 + 100);
  const keys: string[] = [];
  for await (const { key } of store.list('indexes/')) keys.push(key);
  expect(keys.filter((key) => key.endsWith('.index'))).toHaveLength(21);
  expect(keys.filter((key) => key.endsWith('.tokens'))).toHaveLength(21);
  expect(keys).toHaveLength(42);
  const { phases, examples } = planned as unknown as RunPlan;
  expect(examples).toBe(40);
  const document = JSON.parse((await store.get(phases[0]!.index.key)).toString()) as ListedIndex;
  expect([document.version, document.shards.length, document.shards[7]!.examples]).toEqual([2, 20, 2]);
  // Planning asked for texts alone; what is indexed is not found again.
  expect(await findShards(deps, { run: 'other', recipe }, on.attempt())).toEqual({ document: null, shards: 0 });
}, 60_000);
