import { expect, it } from 'vitest';
import type { EmbeddedShard } from '../../src/filtering/agreement.ts';
import { CosineSpread, cosinesOf, unseen } from '../../src/filtering/agreement.ts';
import { clusterOf, learnClusters, mostSampled, projected, sampledOf } from '../../src/filtering/clusters.ts';
import { EmbeddingPartition, rowFile } from '../../src/filtering/embedding-partition.ts';
import { Verdicts } from '../../src/filtering/verdicts.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { toBfloat16 } from '../../src/safetensors/float-bytes.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { runEmbedded, runFilter, weightsOf } from './run.ts';
import { shardOf } from './shard.ts';

const width = 32;
const random = randomStream(1, 'embeddings');
const unit = (values: Float32Array) => {
  const norm = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
  return values.map((value) => value / norm);
};
const drawn = (like?: Float32Array, noise = 1) =>
  unit(Float32Array.from({ length: width }, (_, i) => (like?.[i] ?? 0) + noise * random.normal()));
function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < width; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Data of which only texts are read, and a model of which all is made up. */
function made(count: number, shards: number): MemoryStore {
  const store = new MemoryStore();
  const own = Array.from({ length: count / shards }, () => ({ image: 'x', texts: ['a'] }));
  for (let shard = 0; shard < shards; shard++) store.objects.set(`data/${shard}.tar`, shardOf(own));
  return store;
}

const rowsOf = (rows: readonly Float32Array[]) => Float32Array.from(rows.flatMap((row) => [...row]));
const embedded = (images: readonly Float32Array[], rest: Partial<EmbeddedShard> = {}): EmbeddedShard => ({
  ...{ examples: images.length, width, images: rowsOf(images), texts: [], corrupt: [] },
  ...rest,
});

it('leaves out what agrees less than a cosine, or the share that agrees least, and nothing that has no text', async () => {
  const images = Array.from({ length: 200 }, () => drawn());
  const texts = images.map((image, i) => (i % 50 === 0 ? new Float32Array(width) : drawn(image, 0.02 + 0.003 * i)));
  const store = made(200, 4);
  const embed = (shard: number) => {
    const own = <T>(all: readonly T[]) => all.slice(50 * shard, 50 * (shard + 1));
    return embedded(own(images), { texts: [rowsOf(own(texts))], corrupt: shard === 3 ? [7] : [] });
  };
  const said = images.map((image, i) => (i % 50 === 0 ? Number.NaN : cosine(image, texts[i]!)));
  const kept = async () => Object.values(await weightsOf(store, 'f')).flat();
  const fixed = await runEmbedded(store, { name: 'f', data: 'data', agreement: { least: 0.5 } }, width, embed);
  expect(await kept()).toEqual(said.map((own, i) => (own < 0.5 && i !== 157 ? 0 : 1)));
  const below = said.filter((own, i) => own < 0.5 && i !== 157).length;
  expect(fixed.report).toMatchObject({
    kept: 200 - below,
    broken: 1,
    masked: { 'agreement: a cosine below 0.5': below },
  });
  expect(below).toBeGreaterThan(20);
  // Of 195 that have a cosine 58 are at most 0.3 of them.
  await runEmbedded(store, { name: 'f', data: 'data', agreement: { lowest: 0.3 } }, width, embed);
  const told = said.filter((own, i) => !Number.isNaN(own) && i !== 157).sort((a, b) => a - b);
  expect(await kept()).toEqual(said.map((own, i) => (own < told[58]! && i !== 157 ? 0 : 1)));
  // Cosines are there for the next bound; embeddings that were handed on are gone.
  const left = [...store.objects.keys()].filter((key) => key.startsWith('filters/f/'));
  expect(left.filter((key) => key.includes('/cosines/'))).toHaveLength(4);
  expect(left.filter((key) => key.includes('/work/'))).toEqual([]);
});

it('takes of texts in several languages the one that agrees best', () => {
  const [image, near, far] = [drawn(), drawn(), drawn()];
  const of = (...texts: Float32Array[]) => cosinesOf(embedded([image!], { texts }))[0]!;
  expect(of(near!, far!)).toBeCloseTo(Math.max(cosine(image!, near!), cosine(image!, far!)), 6);
  expect(of(new Float32Array(width), far!)).toBeCloseTo(cosine(image!, far!), 6);
  expect(of(new Float32Array(width))).toBeNaN();
  expect(cosinesOf(embedded([image!], { corrupt: [0] }))[0]).toBe(unseen);
});

it('counts cosines so that a share of them is found to a step in memory that does not grow', () => {
  const spread = new CosineSpread();
  const all = Float32Array.from({ length: 100_000 }, () => Math.tanh(random.normal()));
  spread.add(all);
  const sorted = [...all].sort((a, b) => a - b);
  for (const share of [0, 0.01, 0.5, 0.9]) {
    const bound = spread.below(share);
    expect(sorted.filter((value) => value < bound).length / 100_000).toBeLessThanOrEqual(share);
    expect(Math.abs(bound - sorted[Math.floor(share * 100_000)]!)).toBeLessThan(2 / 2 ** 17 + 1e-6);
  }
  expect(spread.below(1)).toBe(1);
});

it('leaves out nearly every copy by embedding that a loop over all pairs finds, and no other', async () => {
  // 40 kinds of pictures, as a model sees them; one in four is a copy of one before it.
  const kinds = Array.from({ length: 40 }, () => drawn());
  const images: Float32Array[] = [];
  for (let i = 0; i < 3000; i++) {
    const of = i > 100 && random.below(4) === 0 ? images[random.below(i)]! : null;
    images.push(of ? drawn(of, 0.02) : drawn(kinds[random.below(40)]!, 0.12));
  }
  const store = made(3000, 5);
  const embed = (shard: number) => embedded(images.slice(600 * shard, 600 * (shard + 1)));
  const bound = 0.97;
  const { report } = await runEmbedded(
    store,
    { name: 'near', data: 'data', embeddingDuplicates: { cosine: bound } },
    width,
    embed,
  );
  const near = images.map((image, i) => {
    let most = -1;
    for (let j = 0; j < i; j++) most = Math.max(most, cosine(image, images[j]!));
    return most;
  });
  const found = Object.values(await weightsOf(store, 'near'))
    .flat()
    .map((weight) => weight === 0);
  // Rounding to bfloat16 moves a cosine by some thousandths.
  const [sure, none] = [near.map((one) => one >= bound + 0.004), near.map((one) => one < bound - 0.004)];
  expect(found.filter((gone, i) => gone && none[i])).toEqual([]);
  const wanted = sure.filter(Boolean).length;
  const recall = found.filter((gone, i) => gone && sure[i]).length / wanted;
  expect(wanted).toBeGreaterThan(500);
  expect(recall, `${recall}`).toBeGreaterThan(0.9);
  expect(report.masked['embeddingDuplicates: a cosine of 0.97 or more']).toBe(found.filter(Boolean).length);
});

it('holds of a cluster that is crowded no more rows than others are compared with, and finds what a loop over those finds', async () => {
  const [most, count] = [40, 300];
  const kinds = Array.from({ length: 60 }, () => drawn());
  const images = Array.from({ length: count }, (_, i) => drawn(kinds[(i * 7) % 60], 0.02));
  const rows = images.map((image, id) => {
    const bytes = new Uint8Array(image.buffer);
    return { cluster: id % 3 === 0 ? 0 : 1, id, row: toBfloat16(bytes) };
  });
  const partition = new EmbeddingPartition(width, 0.95, async () => {}, most);
  for (let from = 0; from < count; from += 50) {
    const file = rowFile(rows.slice(from, from + 50), 1, 2);
    await partition.add(file.subarray(8));
    expect(partition.held).toBeLessThanOrEqual(2 * most);
  }
  const wanted = [0, 1].flatMap((cluster) => {
    const own = rows.filter((row) => row.cluster === cluster);
    return own.flatMap(({ id }, i) => {
      const keeper = own.slice(0, Math.min(i, most)).find((one) => cosine(images[one.id]!, images[id]!) >= 0.95);
      return keeper ? [{ id, keeper: keeper.id, flags: 0 }] : [];
    });
  });
  expect(await partition.found()).toEqual(wanted);
  expect(wanted.filter(({ id }) => id > 200).length).toBeGreaterThan(20);
  expect(partition.crowded).toBe(count - 2 * most);
});

it('writes what is said of a shard as the same bytes, whichever example was looked at first', () => {
  const said = (order: readonly number[]) => {
    const verdicts = new Verdicts(4);
    verdicts.break(3);
    for (const i of order) verdicts.mask(i, ['text: z', 'text: a', 'text: m'][i]!);
    return verdicts;
  };
  expect(said([0, 1, 2]).encode()).toEqual(said([2, 1, 0]).encode());
  const read = Verdicts.decode(said([2, 0, 1]).encode());
  expect(read.counts).toEqual({ masked: { 'text: a': 1, 'text: m': 1, 'text: z': 1 }, broken: 1 });
  expect([...read.codes].map((code) => read.reasons[code - 1])).toEqual(['text: z', 'text: a', 'text: m', undefined]);
});

it('learns the clusters that are there, from rows that are spread over all shards', async () => {
  const kinds = Array.from({ length: 6 }, () => drawn());
  const rows = Array.from({ length: 600 }, (_, i) => drawn(kinds[i % 6]!, 0.02));
  const low = projected(rowsOf(rows), width);
  const clusters = await learnClusters(low, 36_000);
  expect(clusters.tops * clusters.leaves).toBeGreaterThanOrEqual(36);
  const of = rows.map((_, i) => clusterOf(clusters, low, i));
  // No cluster has two kinds.
  for (const cluster of new Set(of))
    expect(new Set(of.flatMap((own, i) => (own === cluster ? [i % 6] : []))).size).toBe(1);
  expect(await learnClusters(low, 36_000)).toEqual(clusters);
  // A hundred million examples in shards of 10,000: as many rows as memory has room for.
  let sampled = 0;
  for (let shard = 0; shard < 10_000; shard++) {
    const own = sampledOf(10_000 * shard, 10_000, 100_000_000);
    expect(own.length).toBeLessThan(54);
    sampled += own.length;
  }
  expect(sampled).toBe(mostSampled);
  expect(sampledOf(3, 4, 10)).toEqual([0, 1, 2, 3]);
});

it('says what a step with a model lacks', async () => {
  const of = (more: object) => runFilter(new MemoryStore(), { name: 'f', data: 'data', ...more });
  await expect(of({ agreement: { least: 0.1 } })).rejects.toThrow(
    'model is missing; needed for agreement and embeddingDuplicates: a checkpoint, such as {"run": "base", "phase": "import"}',
  );
  const model = { run: 'base', phase: 'import' };
  await expect(of({ model, agreement: {} })).rejects.toThrow(
    'agreement needs one of least, a cosine, and lowest, a share',
  );
  await expect(of({ model, duplicates: {} })).rejects.toThrow('model is given; it is allowed with agreement or');
  await expect(of({ model, agreement: { lowest: 0.1 } })).rejects.toThrow();
});
