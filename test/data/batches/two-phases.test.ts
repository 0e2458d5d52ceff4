import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Draws, openDraws } from '../../../src/data/batches/draws.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import type { ShardStore } from '../../../src/data/index/part-reader.ts';
import { ShardCache } from '../../../src/data/index/shard-cache.ts';
import type { DataIndex } from '../../../src/data/index/types.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import { foreign, readSchema } from '../../../src/recipe/reading.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import { MemoryStore } from '../memory-store.ts';
import { type RawMember, tarOf } from '../tar-file.ts';

const read = readSchema.parse({ captions: 'txt' });
const store = new MemoryStore();
const names = ['a', 'b'];
let folder: string;
let indexes: DataIndex[];
/** Bytes of a block: an epoch has four. */
let block: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-phases-'));
  const random = randomStream(0, 'bytes');
  const noise = Buffer.from(Uint8Array.from({ length: 100_000 }, () => random.below(256)));
  for (const name of names)
    for (let shard = 0; shard < 4; shard++) {
      const members = Array.from({ length: 50 }, (_, i): RawMember[] => [
        { name: `${i}.jpg`, body: noise.subarray(i * 100, i * 100 + 30_000 + random.below(20_000)) },
        { name: `${i}.txt`, body: `noise ${i}` },
      ]);
      await store.put(`d/${name}/${shard}.tar`, tarOf(members.flat()));
    }
  indexes = await Promise.all(names.map((name) => indexData(store, `d/${name}`, foreign(read))));
  block = indexes[0]!.shards.reduce((sum, { bytes }) => sum + bytes, 0) / 4;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const examplesOfTurn = 25;

/** Two phases go through an epoch and a half in turns, each on its own data and both through one folder. */
async function inTurns(name: string, blocks: number, hasNewProcess: (turn: number) => boolean) {
  const at = join(folder, name);
  const limit = blocks * block;
  let bytes = 0;
  const counting: ShardStore = {
    bucket: store.bucket,
    async get(key, options) {
      const body = await store.get(key, options);
      if (key.startsWith('d/')) bytes += body.length;
      return body;
    },
  };
  const open = (index: DataIndex, i: number): { cache: ShardCache; draws: Draws } => {
    const cache = new ShardCache(counting, at, limit);
    const data: BatchPlan['data'] = {
      ...{ train: `d/${names[i]}`, captions: [{ language: 'en', weight: 1 }], labelShare: 1, read },
      ...{ augment: { scale: [1, 1] as [number, number], shift: 0 }, shuffle: { examples: 50 } },
    };
    const plan = { seed: 1, phase: names[i]!, batch: 50, resolution: 8, textLength: 8, vocabulary: null, data };
    return { cache, draws: openDraws(index, plan, cache, null) };
  };
  let phases = indexes.map(open);
  let most = 0;
  const turns = 300 / examplesOfTurn;
  for (let turn = 0; turn < turns; turn++) {
    if (turn > 0 && hasNewProcess(turn)) {
      for (const { cache } of phases) cache.close();
      phases = indexes.map(open);
    }
    for (const { draws, cache } of phases) {
      const from = turn * examplesOfTurn;
      await draws.fetchAhead(from);
      for (let k = from; k < from + examplesOfTurn; k++) {
        const { shard, entry } = await draws.draw(k, 0);
        expect((await cache.read(shard, entry.image)).length).toBe(entry.image.size);
      }
    }
    const sizes = (await readdir(at)).map(async (file) => (await stat(join(at, file))).size);
    most = Math.max(most, (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0) / limit);
  }
  for (const { cache } of phases) cache.close();
  return { read: bytes / (2 * 6 * block), most };
}

it.each<[string, (turn: number) => boolean]>([
  ['of two devices', () => false],
  ['that take turns on one device', (turn) => turn % 3 === 0],
])('phases %s read their data once, though the disk has no room for what both need next', async (name, isNew) => {
  // What both need now takes two blocks, and with what comes after it four.
  const { read, most } = await inTurns(name, 2.6, isNew);
  expect(read).toBeLessThan(1.2);
  expect(most).toBeLessThan(1.05);
});
