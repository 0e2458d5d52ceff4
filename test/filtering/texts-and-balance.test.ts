import { expect, it } from 'vitest';
import { MemoryStore } from '../data/memory-store.ts';
import { scene } from '../packing/pictures.ts';
import { runFilter, weightsOf } from './run.ts';
import { type Planted, shardOf } from './shard.ts';

it('leaves out examples none of whose texts keeps to the rules, by what is wrong with the first, and compares only the others', async () => {
  const [a, b] = await Promise.all([scene(0), scene(1)]);
  const of = (image: Buffer, ...texts: string[]): Planted => ({ image, texts });
  const store = new MemoryStore();
  // The picture of the first, whose text is bad, is not lost with it: its copy stays.
  store.objects.set('data/0.tar', shardOf([of(a, 'IMG_1234.JPG'), of(a, 'a small dog'), of(a, 'a small dog')]));
  store.objects.set('data/1.tar', shardOf([of(b, 'no', 'two more words'), of(b, 'x'), of(b, 'a b c d')]));
  const text = { words: { min: 3 }, fileNames: 'whole' };
  const report = await runFilter(store, { name: 'texts', data: 'data', text, duplicates: {} });
  expect(await weightsOf(store, 'texts')).toEqual({ 'data/0.tar': [0, 1, 0], 'data/1.tar': [1, 0, 0] });
  expect(report.masked).toEqual({
    'duplicates: equal pixels': 2,
    'text: it has fewer than 3 words': 1,
    'text: it is the name of a file': 1,
  });
  // Texts alone need no picture.
  store.objects.set('data/1.tar', shardOf([of(Buffer.from('none'), 'three words here')]));
  const alone = await runFilter(store, { name: 'texts', data: 'data', text });
  expect(alone).toMatchObject({ examples: 4, kept: 3, broken: 0 });
});

const lists = {
  sensitive: { gender: { woman: { words: ['woman', 'women'] }, man: { words: ['man', 'men'] } } },
  labels: { doctor: ['doctor', 'doctors'], nurse: ['nurse'] },
};
const settings = { lists, association: 0.05, representation: 0.05, of: 'own' };

/** 4 shards of 200 examples: men are 70 of 100 doctors, women are 80 of 100 nurses, and most texts name nobody. */
function people(): MemoryStore {
  const store = new MemoryStore();
  const texts = Array.from({ length: 800 }, (_, i) => {
    if (i % 4 < 2) return `a tree of number ${i}`;
    if (i % 4 === 2) return `a ${i % 40 < 28 ? 'man' : 'woman'} who is a doctor, ${i}`;
    return `a ${i % 40 < 32 ? 'woman' : 'man'}, a nurse, ${i}`;
  });
  for (let shard = 0; shard < 4; shard++) {
    const own = texts.slice(200 * shard, 200 * (shard + 1));
    store.objects.set(`data/${shard}.tar`, shardOf(own.map((text) => ({ image: 'x', texts: [text] }))));
  }
  return store;
}

it('weighs examples so that groups have their shares and are tied to no label, and says how far they were', async () => {
  const store = people();
  const report = await runFilter(store, { name: 'even', data: 'data', balance: settings });
  const weights = Object.values(await weightsOf(store, 'even')).flat();
  const sum = (of: (i: number) => boolean) => weights.reduce((total, weight, i) => total + (of(i) ? weight : 0), 0);
  const doctors = (man: boolean) => sum((i) => i % 4 === 2 && i % 40 < 28 === man);
  const nurses = (man: boolean) => sum((i) => i % 4 === 3 && i % 40 < 32 !== man);
  // A tolerance of 0.05 of those that a bound is about: between 45 and 55 of 100.
  for (const of of [doctors, nurses]) expect(Math.abs(of(true) / (of(true) + of(false)) - 0.5)).toBeLessThan(0.056);
  // Those who name nobody stay, and of the fewer all do.
  expect(sum((i) => i % 4 < 2)).toBeCloseTo(400, 0);
  expect(doctors(false)).toBeGreaterThan(58);
  expect(report.kept).toBeCloseTo(
    sum(() => true),
    3,
  );
  expect(report.kept).toBeLessThan(700);
  expect(report.notes['balance: man most tied to nurse, before']).toBeCloseTo(-0.3, 2);
  expect(Math.abs(report.notes['balance: man most tied to nurse, by the weights'] ?? 0)).toBeLessThan(0.056);
});

it('balances to the same bytes when it dies between any two writes', async () => {
  const bytesOf = (store: MemoryStore) =>
    [...store.objects]
      .filter(([key]) => key.startsWith('filters/'))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, body]) => `${key} ${body.toString('base64')}`)
      .join('\n');
  const input = { name: 'even', data: 'data', balance: settings };
  const calm = people();
  await runFilter(calm, input);
  for (const dying of [1, 3, 5, 7]) {
    const store = people();
    const put = store.put.bind(store);
    let writes = 0;
    store.put = async (...of) => {
      if (String(of[0]).endsWith('balancing.json') && ++writes === dying) throw new Error('died');
      return put(...of);
    };
    await expect(runFilter(store, input)).rejects.toThrow('died');
    store.put = put;
    await runFilter(store, input);
    expect(bytesOf(store), `${dying}`).toBe(bytesOf(calm));
  }
});

it('refuses lists that can not be before anything is spent', async () => {
  const wrong = { ...settings, lists: { ...lists, labels: { doctor: ['...'] } } };
  await expect(runFilter(people(), { name: 'even', data: 'data', balance: wrong })).rejects.toThrow(
    'balance: labels.doctor has "...", which has no letter or digit in it',
  );
});
